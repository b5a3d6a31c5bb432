// What orders promises to others. The only file of this service that they may import.
import { api, event } from '@banyan/core'
import { z } from 'zod'

/** How an order is driven to its end: by the orders service's saga, or by services that answer each other's events. */
export const Checkout = z.enum(['orchestration', 'choreography'])
export type Checkout = z.infer<typeof Checkout>

/** What a product is called. Not every database stores control characters. */
export const ProductId = z
  .string()
  .min(1)
  .max(64)
  .regex(/^\P{Cc}*$/u, 'wanted a text without control characters')

export const OrderItem = z.strictObject({
  productId: ProductId,
  quantity: z.int().min(1).max(1000),
})

/** What other services need to know of an order. Money is in cents. */
export const OrderSummary = z.strictObject({
  orderId: z.string().min(1),
  customerId: z.string().min(1),
  items: z.array(OrderItem).min(1).max(50),
  totalCents: z.int().min(0),
  checkout: Checkout,
})
export type OrderSummary = z.infer<typeof OrderSummary>

export const OrderStatus = z.enum(['pending', 'confirmed', 'rejected', 'cancelled'])
export type OrderStatus = z.infer<typeof OrderStatus>

export const OrderView = z.object({
  orderId: z.string(),
  customerId: z.string(),
  items: z.array(OrderItem),
  totalCents: z.int(),
  status: OrderStatus,
  /** Why it was rejected. */
  reason: z.string().optional(),
})
export type OrderView = z.infer<typeof OrderView>

export const ordersApi = api('orders', {
  operations: {
    placeOrder: {
      method: 'POST',
      path: '/orders',
      summary: 'Place an order; it is confirmed or rejected a little later',
      body: z.strictObject({ items: z.array(OrderItem).min(1).max(50) }),
      response: OrderView,
      status: 202,
      idempotencyKey: 'required',
    },
    getOrder: { method: 'GET', path: '/orders/{id}', summary: 'One order', response: OrderView },
    cancelOrder: {
      method: 'DELETE',
      path: '/orders/{id}',
      summary: 'Cancel an order that is not confirmed yet',
      response: OrderView,
      status: 202,
      refusals: ['already-confirmed'],
    },
  },
})

const key = (data: { orderId: string }) => data.orderId

export const orderCreated = event('order.created', { version: 1, schema: OrderSummary, key })
export const orderConfirmed = event('order.confirmed', { version: 1, schema: OrderSummary, key })
export const orderRejected = event('order.rejected', { version: 1, schema: OrderSummary.extend({ reason: z.string() }), key })
export const orderCancelled = event('order.cancelled', { version: 1, schema: OrderSummary, key })
