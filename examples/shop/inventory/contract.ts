// What inventory promises to others. The only file of this service that they may import.
import { api, event } from '@banyan/core'
import { z } from 'zod'
import { OrderItem, OrderSummary } from '../orders/contract.ts'

export const Reservation = z.object({
  reservationId: z.string(),
  orderId: z.string(),
  items: z.array(OrderItem),
  status: z.enum(['held', 'released']),
})
export type Reservation = z.infer<typeof Reservation>

export const StockLevel = z.object({
  productId: z.string(),
  onHand: z.int().min(0),
  available: z.int().min(0),
  reorderPoint: z.int().min(0),
})
export type StockLevel = z.infer<typeof StockLevel>

/** A reservation is named after its order, so that it can be released by those who never saw the answer that made it. */
export function reservationIdOf(orderId: string): string {
  return `reservation-${orderId}`
}

export const inventoryApi = api('inventory', {
  operations: {
    reserve: {
      method: 'POST',
      path: '/reservations',
      summary: 'Hold the stock of an order, all of it or none',
      body: OrderSummary,
      response: Reservation,
      refusals: ['out-of-stock', 'unknown-product', 'cancelled'],
      idempotencyKey: 'required',
    },
    release: {
      method: 'DELETE',
      path: '/reservations/{id}',
      summary: 'Give the stock back; a reservation that comes later is refused',
      idempotencyKey: 'required',
    },
    reservationOfOrder: { method: 'GET', path: '/reservations/order/{orderId}', summary: "An order's reservation", response: Reservation },
    getStock: { method: 'GET', path: '/stock/{productId}', summary: 'How many there are', response: StockLevel },
    erpReport: {
      method: 'GET',
      path: '/erp-report',
      summary: 'What came of the last reading of the ERP',
      response: z.object({
        translated: z.int(),
        quarantined: z.array(z.object({ record: z.string(), problem: z.string() })),
      }),
    },
  },
})

const key = (data: { orderId: string }) => data.orderId

export const stockReserved = event('stock.reserved', { version: 1, schema: OrderSummary, key })
export const stockRejected = event('stock.rejected', { version: 1, schema: OrderSummary.extend({ reason: z.string() }), key })
export const stockReleased = event('stock.released', {
  version: 1,
  schema: z.strictObject({ orderId: z.string(), items: z.array(OrderItem) }),
  key,
})
