// What history promises to others. The only file of this service that they may import.
import { api } from '@banyan/core'
import { z } from 'zod'
import { OrderStatus } from '../orders/contract.ts'

export const HistoryEntry = z.object({
  orderId: z.string(),
  customerId: z.string(),
  totalCents: z.int(),
  status: OrderStatus,
  reason: z.string().optional(),
  shipped: z.boolean(),
  notified: z.boolean(),
})
export type HistoryEntry = z.infer<typeof HistoryEntry>

export const historyApi = api('history', {
  operations: {
    ordersOfCustomer: {
      method: 'GET',
      path: '/customers/{id}/orders',
      summary: "A customer's orders, newest first",
      response: z.array(HistoryEntry),
    },
    orderStats: {
      method: 'GET',
      path: '/order-stats',
      summary: 'How many orders there are in each state, and their totals',
      response: z.array(z.object({ status: OrderStatus, orders: z.int(), totalCents: z.int() })),
    },
  },
})
