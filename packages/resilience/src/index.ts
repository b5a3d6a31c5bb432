// Compose layers around a function

export type { Call, Protected, RunOptions } from './call.ts'
export type { Explanation } from './explain.ts'
export type { AnswerOf, GuardedMethod } from './guarded.ts'
export { guard, guarded } from './guarded.ts'
export type { Gauge, Layer, LayerFacts } from './layer.ts'
export type { Outcome, Rejected } from './outcome.ts'
export type { AltOf, Policy } from './policy.ts'
export { policy } from './policy.ts'
export type { LayerSnapshot, PolicySnapshot } from './policy-snapshot.ts'

// The layers

export type { AdaptiveLimit, AdaptiveLimitOptions, AdaptiveLimitSnapshot } from './adaptive-limit.ts'
export { adaptiveLimit } from './adaptive-limit.ts'
export type { Bulkhead, BulkheadOptions } from './bulkhead.ts'
export { bulkhead } from './bulkhead.ts'
export type { CircuitBreaker } from './circuit-breaker.ts'
export { circuitBreaker } from './circuit-breaker.ts'
export type { FallbackOptions } from './fallback.ts'
export { fallback } from './fallback.ts'
export type { HedgeOptions } from './hedge.ts'
export { hedge } from './hedge.ts'
export type { AnyRateLimiter, RateLimitOptions } from './rate-limit.ts'
export { rateLimit } from './rate-limit.ts'
export type { RetryOptions } from './retry.ts'
export { retry } from './retry.ts'
export type { TimeoutOptions } from './timeout.ts'
export { timeout } from './timeout.ts'

// How long and how often to retry

export type { Backoff, ExponentialOptions } from './backoff.ts'
export { exponential } from './backoff.ts'
export type { RetryBudget, RetryBudgetOptions } from './retry-budget.ts'
export { retryBudget } from './retry-budget.ts'

// What a circuit breaker knows

export type { CircuitBreakerChanges, CircuitBreakerOptions } from './breaker-options.ts'
export type { BreakerSnapshot } from './breaker-snapshot.ts'
export type { BreakerStateName } from './breaker-state.ts'
export type { BreakerCounts, WindowSlice, WindowSnapshot } from './breaker-window.ts'

// Limit by key

export type { GcraOptions, RateLimiter, RateLimiterOptions } from './rate-limiter.ts'
export { gcra, slidingWindow } from './rate-limiter.ts'
export type { RateLimitAnswer, RateQuota, RateState } from './rate-quota.ts'
export { takeFrom } from './rate-quota.ts'
export type { RateLimitStore, SharedRateLimiter, SharedRateLimiterOptions } from './shared-rate-limiter.ts'
export { sharedRateLimiter } from './shared-rate-limiter.ts'

// End calls and keep deadlines where a signal and a timer each would cost too much

export type { AbortListener } from './cancellation.ts'
export { Cancellation } from './cancellation.ts'
export type { Deadline, Deadlines } from './deadlines.ts'
export { deadlinesOf } from './deadlines.ts'

// What went wrong, and what counts as wrong

export type { RejectedBy, ResilienceErrorCode } from './errors.ts'
export { ResilienceError } from './errors.ts'
export type { Settled } from './failure.ts'
export { isFailure, isRetryable, isTimeout, wasNeverSent } from './failure.ts'

// Listen and measure

export type { ResilienceEvents } from './events.ts'
export { onResilienceEvent } from './events.ts'
export type { MeterLike } from './observe.ts'
export { observePolicies } from './observe.ts'
