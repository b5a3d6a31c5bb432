import type { Delivery, DeliveryPlace } from '@banyan/core'

/** Up to where a consumer has settled each partition of its bus, since it last told the inbox. */
export interface SettledMarks {
  /** The whole batch is settled, and with it everything before it in its partitions. */
  settled(batch: readonly Delivery[]): void
  /** What is to be noted. */
  pending(): DeliveryPlace[]
  /** These are noted. */
  noted(places: readonly DeliveryPlace[]): void
}

/** Creates {@link SettledMarks}. */
export function settledMarks(): SettledMarks {
  const marks = new Map<string, number>()
  return {
    settled(batch) {
      for (const { place } of batch) {
        if (place && place.offset > (marks.get(place.partition) ?? -1)) marks.set(place.partition, place.offset)
      }
    },
    pending: () => [...marks].map(([partition, offset]) => ({ partition, offset })),
    noted(places) {
      // What was settled while this was being written is still to be noted.
      for (const { partition, offset } of places) if (marks.get(partition) === offset) marks.delete(partition)
    },
  }
}
