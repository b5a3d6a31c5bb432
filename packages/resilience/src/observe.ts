import type { RejectedBy } from './errors.ts'
import { onResilienceEvent } from './events.ts'
import type { LayerFacts } from './layer.ts'
import type { Policy } from './policy.ts'

type Attributes = Record<string, string | number | boolean>
type Options = { description?: string; unit?: string; advice?: { explicitBucketBoundaries?: number[] } }

interface ObservableResultLike {
  observe(value: number, attributes?: Attributes): void
}

/** What is used of a `Meter` of `@opentelemetry/api`, so that its users hand theirs over and nobody else needs it. */
export interface MeterLike {
  createCounter(name: string, options?: Options): { add(value: number, attributes?: Attributes): void }
  createHistogram(name: string, options?: Options): { record(value: number, attributes?: Attributes): void }
  createObservableGauge(
    name: string,
    options?: Options,
  ): {
    addCallback(callback: (result: ObservableResultLike) => void): void
    removeCallback(callback: (result: ObservableResultLike) => void): void
  }
}

/** Seconds. */
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/**
 * Measures policies with OpenTelemetry: what happens in all policies of the process, and the figures of the moment (state of a breaker,
 * places taken, limits) of those given. Each has the attribute `banyan.policy`:
 *
 * - `banyan.policy.duration`, a histogram in seconds, by `outcome`: `ok`, `failed`, or who rejected the call
 * - `banyan.policy.retries`, `.timeouts`, `.hedges`, `.fallbacks`; `banyan.circuit_breaker.transitions` by `from` and `to`
 * - `banyan.rate_limit.store_failures`, without a policy: limiters may be shared
 * - gauges `banyan.circuit_breaker.state` (1 for the `state` that holds), `banyan.bulkhead.active` and `.queued`,
 *   `banyan.adaptive_limit.limit` and `.active`
 *
 * @returns a function that stops it
 */
export function observePolicies(meter: MeterLike, policies: readonly Policy<unknown>[] = []): () => void {
  const stops = [...observeCalls(meter), ...observeGauges(meter, policies)]
  return () => {
    for (const stop of stops.splice(0)) stop()
  }
}

function observeCalls(meter: MeterLike): (() => void)[] {
  const duration = meter.createHistogram('banyan.policy.duration', {
    description: 'From the call of a policy to its end',
    unit: 's',
    advice: { explicitBucketBoundaries: DURATIONS },
  })
  const count = (layer: 'retry' | 'timeout' | 'hedge' | 'fallback', name: string, description: string): (() => void) => {
    const counter = meter.createCounter(`banyan.policy.${name}`, { description })
    return onResilienceEvent(layer, ({ policy }) => counter.add(1, { 'banyan.policy': policy }))
  }
  const transitions = meter.createCounter('banyan.circuit_breaker.transitions', { description: 'Changes of state of circuit breakers' })
  const storeFailures = meter.createCounter('banyan.rate_limit.store_failures', {
    description: 'Takes that the store of a shared rate limiter did not answer',
  })
  return [
    onResilienceEvent('call', ({ policy, ok, durationMs, rejectedBy }) =>
      duration.record(durationMs / 1_000, { 'banyan.policy': policy, outcome: outcomeOf(ok, rejectedBy) }),
    ),
    count('retry', 'retries', 'Failed attempts that were repeated'),
    count('timeout', 'timeouts', 'Attempts and calls that a timeout ended'),
    count('hedge', 'hedges', 'Calls that were sent once more as they took long'),
    count('fallback', 'fallbacks', 'Failures that a fallback answered'),
    onResilienceEvent('rate-limit-store', () => storeFailures.add(1)),
    onResilienceEvent('circuit-breaker', ({ policy, from, to }) => transitions.add(1, { 'banyan.policy': policy, from, to })),
  ]
}

function outcomeOf(ok: boolean, by: RejectedBy | undefined): string {
  if (ok) return 'ok'
  return by ?? 'failed'
}

const GAUGES: readonly (readonly [kind: LayerFacts['kind'], name: string, description: string])[] = [
  ['circuit-breaker', 'state', 'Which state a circuit breaker is in: 1 for the one that holds'],
  ['bulkhead', 'active', 'Calls that run in a bulkhead'],
  ['bulkhead', 'queued', 'Calls that wait for a place in a bulkhead'],
  ['adaptive-limit', 'limit', 'How many calls an adaptive limit lets run'],
  ['adaptive-limit', 'active', 'Calls that run under an adaptive limit'],
]

function observeGauges(meter: MeterLike, policies: readonly Policy<unknown>[]): (() => void)[] {
  if (policies.length === 0) return []
  return GAUGES.map(([kind, name, description]) => {
    const gauge = meter.createObservableGauge(`banyan.${kind.replaceAll('-', '_')}.${name}`, { description })
    const callback = (result: ObservableResultLike) => observeAll(result, policies, kind, name)
    gauge.addCallback(callback)
    return () => gauge.removeCallback(callback)
  })
}

function observeAll(result: ObservableResultLike, policies: readonly Policy<unknown>[], kind: LayerFacts['kind'], name: string): void {
  for (const { name: policy, layers } of policies) {
    for (const layer of layers) {
      if (layer.facts.kind !== kind) continue
      for (const gauge of layer.gauges?.() ?? []) {
        if (gauge.name !== name) continue
        const attributes = { 'banyan.policy': policy, ...(gauge.state !== undefined && { state: gauge.state }) }
        result.observe(gauge.value, attributes)
      }
    }
  }
}
