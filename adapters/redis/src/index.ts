// Rate limits that several processes count together

export type { RedisErrorCode } from './redis-error.ts'
export { RedisError } from './redis-error.ts'
export type { RedisRateLimits, RedisRateLimitsOptions } from './redis-rate-limits.ts'
export { isRedisUrl, redisRateLimits } from './redis-rate-limits.ts'
