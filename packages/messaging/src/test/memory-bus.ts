// A bus in memory for the unit tests of this room: keeps what was published, delivers what the test says.
import { type Bus, type BusSubscription, type Delivery, decodeEnvelope, type Envelope, encodeEnvelope } from '@banyan/core'

export interface MemoryBus extends Bus {
  readonly published: Envelope[]
  /** Called before a batch is taken; what it throws, or rejects with, is the bus's answer. */
  onPublish: (batch: readonly Envelope[]) => void | Promise<void>
  /** Called when the subscription has ended; what it throws is the answer of its `stop`. */
  onStop: () => void
  /** Delivers a batch to the one subscriber; settles as its handling does. */
  deliver(...raws: (Envelope | string)[]): Promise<void>
  /** Delivers everything once more, from the same places. */
  again(): Promise<void>
}

export function memoryBus(): MemoryBus {
  let subscriber: BusSubscription | undefined
  const inFlight = new Set<Promise<void>>()
  const delivered: Delivery[] = []
  let position = 0

  function hand(batch: readonly Delivery[]): Promise<void> {
    if (!subscriber) return Promise.reject(new Error('nobody has subscribed'))
    const handled = subscriber.handle(batch)
    inFlight.add(handled)
    handled.then(
      () => inFlight.delete(handled),
      () => inFlight.delete(handled),
    )
    return handled
  }

  const bus: MemoryBus = {
    features: { ordering: 'key', redelivery: true, replay: true },
    published: [],
    onPublish: () => {},
    onStop: () => {},
    async publish(batch) {
      await bus.onPublish(batch)
      bus.published.push(...batch)
    },
    async subscribe(subscription) {
      subscriber = subscription
      return {
        async stop() {
          subscriber = undefined
          await Promise.allSettled(inFlight)
          bus.onStop()
        },
      }
    },
    deliver(...raws) {
      const batch = raws.map((raw) => {
        position += 1
        return deliveryOf(raw, position)
      })
      delivered.push(...batch)
      return hand(batch)
    },
    again: () => hand(delivered),
    close: async () => {},
  }
  return bus
}

function deliveryOf(message: Envelope | string, position: number): Delivery {
  const raw = typeof message === 'string' ? message : encodeEnvelope(message)
  const place = { partition: 'test/0', offset: position }
  try {
    return { envelope: decodeEnvelope(raw), raw, position: String(position), place }
  } catch {
    // What a bus does with a text that is no envelope.
    return { envelope: undefined, raw, position: 'broken', place }
  }
}
