import { type Bus, type BusSubscription, type Envelope, encodeEnvelope } from '@banyan/core'

/** A bus that brings what the test says, to the one that has subscribed last. */
export interface BroughtBus {
  readonly bus: Bus
  bring(...envelopes: Envelope[]): Promise<void>
  /** Of the one that has subscribed last. */
  group(): string | undefined
}

export function broughtBus(): BroughtBus {
  let subscription: BusSubscription | undefined
  const bus: Bus = {
    features: { ordering: 'key', redelivery: true, replay: true },
    publish: async () => {},
    async subscribe(wanted) {
      subscription = wanted
      return { stop: async () => {} }
    },
    close: async () => {},
  }
  return {
    bus,
    async bring(...envelopes) {
      for (const envelope of envelopes) await subscription?.handle([{ envelope, raw: encodeEnvelope(envelope), position: '1' }])
    },
    group: () => subscription?.group,
  }
}
