import { type Counter, type Histogram, type MeterProvider, metrics } from '@opentelemetry/api'

/** What sagas count and measure. */
export interface Instruments {
  readonly started: Counter
  /** By `banyan.outcome`: completed, compensated. */
  readonly ended: Counter
  /** A person should look: stuck, or failing on and on where there is no way back. */
  readonly alerts: Counter
  /** Seconds, by step and outcome. */
  readonly attempts: Histogram
}

const known = new WeakMap<MeterProvider, Instruments>()

/** The instruments of the meter provider at hand: it may be set up after this module is loaded. */
export function instruments(): Instruments {
  const provider = metrics.getMeterProvider()
  const made = known.get(provider)
  if (made) return made
  const meter = provider.getMeter('@banyan/saga')
  const fresh: Instruments = {
    started: meter.createCounter('banyan.sagas.started', { description: 'Sagas started' }),
    ended: meter.createCounter('banyan.sagas.ended', { description: 'Sagas completed or compensated' }),
    alerts: meter.createCounter('banyan.sagas.alerts', { description: 'Sagas a person should look at' }),
    attempts: meter.createHistogram('banyan.saga.step.duration', { description: 'Attempts of steps', unit: 's' }),
  }
  known.set(provider, fresh)
  return fresh
}
