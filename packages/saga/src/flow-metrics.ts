import { type Counter, type MeterProvider, metrics } from '@opentelemetry/api'

/** What a watcher counts; each by `banyan.service` and `banyan.flow`. */
export interface FlowInstruments {
  /** Flows whose start was seen. */
  readonly started: Counter
  /** Flows whose end was seen. */
  readonly ended: Counter
  /** Flags raised, by `banyan.flag`. */
  readonly flagged: Counter
}

const known = new WeakMap<MeterProvider, FlowInstruments>()

/** The instruments of the meter provider at hand: it may be set up after this module is loaded. */
export function flowInstruments(): FlowInstruments {
  const provider = metrics.getMeterProvider()
  const made = known.get(provider)
  if (made) return made
  const meter = provider.getMeter('@banyan/saga')
  const fresh: FlowInstruments = {
    started: meter.createCounter('banyan.flows.started', { description: 'Flows whose start was seen' }),
    ended: meter.createCounter('banyan.flows.ended', { description: 'Flows whose end was seen' }),
    flagged: meter.createCounter('banyan.flows.flagged', { description: 'Flags raised: flows that did not go as declared' }),
  }
  known.set(provider, fresh)
  return fresh
}
