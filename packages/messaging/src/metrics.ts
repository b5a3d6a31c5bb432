import { type Counter, type MeterProvider, metrics } from '@opentelemetry/api'

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
}

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
  }
  known.set(provider, fresh)
  return fresh
}
