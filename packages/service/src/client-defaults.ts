// How clients behave unless they are given a policy of their own. To change it for every client, change it here.
import type { World } from '@banyan/core'
import { bulkhead, circuitBreaker, exponential, type Policy, policy, retry, retryBudget, timeout } from '@banyan/resilience'
import { isNeverSent } from './never-sent.ts'

/** How long a call may take, retries and all, when its operation does not say; milliseconds. */
export const CALL_TIMEOUT_MS = 5_000

/** What a caller is told to wait when the service gave no hint itself; milliseconds. */
export const RETRY_AFTER_MS = 1_000

export interface DefaultPolicyOptions {
  /**
   * How long one attempt may take, milliseconds. Default: as long as the whole call, as only its operation's author knows how long
   * it rightly takes. With less, an instance that accepts and never replies costs a call that may be repeated no more than this.
   */
  attemptTimeoutMs?: number
}

/**
 * The policy of the calls to one service: three attempts of what may be repeated, within a budget; a breaker that opens when
 * half of the calls fail; a bound on how many run at once. The time of the whole call is its operation's, see `client`.
 */
export function defaultPolicy(service: string, world: World, options: DefaultPolicyOptions = {}): Policy {
  const { attemptTimeoutMs } = options
  return policy(
    service,
    retry({
      attempts: 3,
      backoff: exponential({ baseMs: 50, capMs: 1_000, jitter: 'full' }),
      // 20 % on top of the calls, and 10 a second free.
      budget: retryBudget({ ratio: 0.2, minPerSecond: 10, world }),
      idempotent: 'ask',
      neverSent: isNeverSent,
      world,
    }),
    circuitBreaker({
      window: { timeMs: 10_000 },
      minimumCalls: 20,
      failureRate: 0.5,
      // Short, as instances that were killed are mostly back within seconds; longer each time it opens again.
      coolDownMs: 1_000,
      coolDownGrowth: { factor: 2, maxMs: 10_000 },
      probes: { allowed: 5, needed: 3, maxWaitMs: 10_000 },
      world,
    }),
    bulkhead({ limit: 100, queue: 400, maxWaitMs: 1_000, world }),
    ...(attemptTimeoutMs === undefined ? [] : [timeout(attemptTimeoutMs, { world })]),
  )
}
