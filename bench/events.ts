import { event } from '@banyan/core'
import { z } from 'zod'

/** What the benchmarks publish: an envelope of about 450 bytes. */
export const orderPlaced = event('order.placed', {
  version: 1,
  schema: z.object({ orderId: z.string(), n: z.number(), note: z.string() }),
  key: ({ orderId }) => orderId,
})

/** Of one piece, as a text that came over the wire; `repeat` leaves a tree of pieces, which costs whoever reads it several times as much. */
export const NOTE: string = Buffer.alloc(100, '.').toString('latin1')
