import { CodedError } from '@banyan/core'

/** The codes of {@link RedisError}. */
export type RedisErrorCode = 'ERR_REDIS_UNREACHABLE' | 'ERR_REDIS_REFUSED' | 'ERR_REDIS_ANSWER'

/** Redis could not be reached, said no, or gave an answer that is none. */
export class RedisError extends CodedError<RedisErrorCode> {}
