import { channel } from 'node:diagnostics_channel'
import type { BreakerStateName } from './breaker-state.ts'

/** What layers tell, by the name of the layer. */
export interface ResilienceEvents {
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
  fallback: { readonly policy: string; readonly error: unknown }
}

const channels = {
  'circuit-breaker': channel('banyan:resilience:circuit-breaker'),
  retry: channel('banyan:resilience:retry'),
  timeout: channel('banyan:resilience:timeout'),
  bulkhead: channel('banyan:resilience:bulkhead'),
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
 * Listens to one kind of layer, of all policies of the process. The same events are on the diagnostics channels
 * `banyan:resilience:<layer>`. Without listeners, layers build no events.
 *
 * @returns a function that stops listening
 */
export function onResilienceEvent<L extends keyof ResilienceEvents>(layer: L, listener: (event: ResilienceEvents[L]) => void): () => void {
  // A diagnostics channel is untyped; only tell() publishes on these.
  const subscriber = (event: unknown) => listener(event as ResilienceEvents[L])
  channels[layer].subscribe(subscriber)
  return () => void channels[layer].unsubscribe(subscriber)
}
