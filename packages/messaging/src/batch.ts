import type { Delivery } from '@banyan/core'
import { MessagingError } from './errors.ts'

export interface BatchOptions {
  readonly concurrency: number
  readonly ordering: 'key' | 'none'
  /** Resolves when one delivery is settled for good; rejects when it must come again. */
  readonly deliver: (delivery: Delivery) => Promise<void>
  /** When it aborts, what has not begun is left for the next time. */
  readonly signal: AbortSignal
}

/**
 * Handles batches of deliveries: those of one key one after another, different keys concurrently. Resolves when all are
 * settled; rejects when one could not be, after everything that had begun has ended.
 */
export function handleBatch(options: BatchOptions): (batch: readonly Delivery[]) => Promise<void> {
  const { concurrency, deliver, signal } = options
  return async (batch) => {
    const lanes = lanesOf(batch, options.ordering).values()
    let failure: { error: unknown } | undefined
    const work = async () => {
      for (const lane of lanes) {
        for (const delivery of lane) {
          if (failure) return
          if (signal.aborted) {
            failure = { error: stopping() }
            return
          }
          await deliver(delivery).catch((error: unknown) => {
            failure ??= { error }
          })
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, batch.length) }, work))
    if (failure) throw failure.error
  }
}

function stopping(): MessagingError {
  return new MessagingError('ERR_CONSUMER_STOPPING', 'the consumer stops; the rest of the batch is left for the next time')
}

function lanesOf(batch: readonly Delivery[], ordering: 'key' | 'none'): Map<string | Delivery, Delivery[]> {
  const lanes = new Map<string | Delivery, Delivery[]>()
  for (const delivery of batch) {
    const lane = ordering === 'key' && delivery.envelope ? delivery.envelope.subject : delivery
    const others = lanes.get(lane)
    if (others) others.push(delivery)
    else lanes.set(lane, [delivery])
  }
  return lanes
}
