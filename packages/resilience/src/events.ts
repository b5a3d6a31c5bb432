import type { BreakerStateName } from './breaker-state.ts'
import { type Channel, channel } from './channel.ts'
import type { RejectedBy } from './errors.ts'

/** What layers tell, by the name of the layer; `call` is a whole call of a policy. */
export interface ResilienceEvents {
  call: {
    readonly policy: string
    readonly ok: boolean
    readonly durationMs: number
    /** How often the function was called. */
    readonly attempts: number
    readonly rejectedBy: RejectedBy | undefined
  }
  'circuit-breaker': {
    readonly policy: string
    readonly from: BreakerStateName
    readonly to: BreakerStateName
    /** Grows with each change of state. */
    readonly epoch: number
  }
  retry: { readonly policy: string; readonly failedAttempt: number; readonly delayMs: number; readonly error: unknown }
  timeout: { readonly policy: string; readonly timeoutMs: number }
  bulkhead: { readonly policy: string; readonly why: 'full' | 'waited'; readonly active: number; readonly queued: number }
  'rate-limit': { readonly policy: string; readonly key: string; readonly retryAfterMs: number }
  /** The store of a shared rate limiter failed or did not answer in time. */
  'rate-limit-store': { readonly key: string; readonly error: unknown }
  hedge: { readonly policy: string; readonly hedge: number; readonly afterMs: number }
  'adaptive-limit': { readonly policy: string; readonly limit: number; readonly active: number }
  fallback: { readonly policy: string; readonly error: unknown }
}

const channels: Readonly<Record<keyof ResilienceEvents, Channel>> = {
  call: channel('banyan:resilience:call'),
  'circuit-breaker': channel('banyan:resilience:circuit-breaker'),
  retry: channel('banyan:resilience:retry'),
  timeout: channel('banyan:resilience:timeout'),
  bulkhead: channel('banyan:resilience:bulkhead'),
  'rate-limit': channel('banyan:resilience:rate-limit'),
  'rate-limit-store': channel('banyan:resilience:rate-limit-store'),
  hedge: channel('banyan:resilience:hedge'),
  'adaptive-limit': channel('banyan:resilience:adaptive-limit'),
  fallback: channel('banyan:resilience:fallback'),
}

/** Whether anybody listens to this layer: ask before an event is put together. */
export function isHeard(layer: keyof ResilienceEvents): boolean {
  return channels[layer].hasSubscribers
}

/** Tells those who listen. A listener that throws becomes an uncaught exception of its own; the call goes on. */
export function tell<L extends keyof ResilienceEvents>(layer: L, event: ResilienceEvents[L]): void {
  channels[layer].publish(event)
}

/**
 * Listens to one kind of layer, or to whole calls (`call`), of all policies of the process. The same events are on the diagnostics
 * channels `banyan:resilience:<layer>`, where the runtime has such. Without listeners, layers build no events.
 *
 * @returns a function that stops listening
 */
export function onResilienceEvent<L extends keyof ResilienceEvents>(layer: L, listener: (event: ResilienceEvents[L]) => void): () => void {
  // A diagnostics channel is untyped; only tell() publishes on these.
  const subscriber = (event: unknown) => listener(event as ResilienceEvents[L])
  channels[layer].subscribe(subscriber)
  return () => void channels[layer].unsubscribe(subscriber)
}
