import type { Logger } from '@banyan/core'
import type { GatewayResponse } from './exchange.ts'
import { type ProblemOptions, problem } from './problem.ts'

/** What is wrong with a request that was never read as one. */
export type Unread = Pick<ProblemOptions, 'status' | 'code' | 'detail'>

/** The answer to a request that was refused before it came to any route, and its line in the access log: it has no other. */
export function refuseUnread({ status, code, detail }: Unread, log: Logger): GatewayResponse {
  log.info({ status, code }, `a request was refused before it was read: ${status}, ${detail}`)
  return problem({ status, code, detail })
}

/** What is wrong, by the error of Node's parser. */
export function unreadBy({ code = '' }: NodeJS.ErrnoException): Unread {
  const [status, detail] = PARSE_ERRORS[code] ?? [400, 'the request is not clean HTTP/1.1']
  return { status, code: 'ERR_REQUEST_INVALID', detail }
}

const PARSE_ERRORS: Readonly<{ [code: string]: readonly [number, string] }> = {
  HPE_HEADER_OVERFLOW: [431, 'the head of the request is too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'the chunk extensions of the request are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request took too long to come'],
}
