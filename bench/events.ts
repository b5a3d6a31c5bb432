import { event } from '@banyan/core'
import { z } from 'zod'

/** What the benchmarks publish: an envelope of about 450 bytes. */
export const orderPlaced = event('order.placed', {
  version: 1,
  schema: z.object({ orderId: z.string(), n: z.number(), note: z.string() }),
  key: ({ orderId }) => orderId,
})

export const NOTE: string = '.'.repeat(100)
