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

/** Bounds of the histogram, seconds: a step may wait for another system for half a minute. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

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
    attempts: meter.createHistogram('banyan.saga.step.duration', {
      description: 'Attempts of steps',
      unit: 's',
      advice: { explicitBucketBoundaries: SECONDS },
    }),
  }
  known.set(provider, fresh)
  return fresh
}
