import type { Envelope } from '@banyan/core'
import { type Attributes, type Counter, createNoopMeter, type Histogram, type MeterProvider, metrics } from '@opentelemetry/api'

/** The counters of messaging; each has the attribute `banyan.service`. */
export interface Instruments {
  /** Events committed to an outbox. */
  readonly published: Counter
  /** Events handed to the bus. */
  readonly relayed: Counter
  /** Events whose handler has committed. */
  readonly handled: Counter
  /** Events that came again and changed nothing. */
  readonly duplicates: Counter
  /** Failed runs that will be repeated. */
  readonly retries: Counter
  /** Messages that became dead letters. */
  readonly deadLetters: Counter
  /** From publishing an event to the commit of its handler, seconds. */
  readonly lag: Histogram
  /** Runs that a message in trouble took until it was done or a dead letter. */
  readonly attempts: Histogram
}

const LAG_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600]

const known = new WeakMap<MeterProvider, Instruments>()

/** The counters of the meter provider at hand: it may be set up after this module is loaded. */
export function instruments(): Instruments {
  const provider = metrics.getMeterProvider()
  const made = known.get(provider)
  if (made) return made
  const meter = provider.getMeter('@banyan/messaging')
  const counter = (name: string, description: string) => meter.createCounter(`banyan.messages.${name}`, { description })
  const fresh: Instruments = {
    published: counter('published', 'Events committed to the outbox'),
    relayed: counter('relayed', 'Events handed to the bus'),
    handled: counter('handled', 'Events whose handler has committed'),
    duplicates: counter('duplicates', 'Events that came again and changed nothing'),
    retries: counter('retries', 'Failed runs that will be repeated'),
    deadLetters: counter('dead_letters', 'Messages that became dead letters'),
    lag: meter.createHistogram('banyan.messages.lag', {
      description: 'From publishing an event to the commit of its handler',
      unit: 's',
      advice: { explicitBucketBoundaries: LAG_SECONDS },
    }),
    attempts: meter.createHistogram('banyan.messages.attempts', {
      description: 'Runs that a message in trouble took until it was done or a dead letter',
      advice: { explicitBucketBoundaries: [1, 2, 3, 4, 5, 6, 8, 10, 15, 20] },
    }),
  }
  known.set(provider, fresh)
  return fresh
}

/** The handler of an event published at `time` has committed at `now`. */
export function recordLag({ time }: Pick<Envelope, 'time'>, now: number, attributes: Attributes): void {
  instruments().lag.record(Math.max(0, now - Date.parse(time)) / 1_000, attributes)
}

/** A message of `group` that was in trouble is done, or a dead letter, after so many runs. */
export function recordAttempts(group: string, attempts: number): void {
  instruments().attempts.record(attempts, { 'banyan.group': group })
}

const UNHEARD = createNoopMeter().createCounter('')

/** Whether anybody hears what a counter counts: telemetry is set up. */
export function isHeard(counter: Counter): boolean {
  return counter !== UNHEARD
}
