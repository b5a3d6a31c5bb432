// What payments promises to others. The only file of this service that they may import.
import { api, event } from '@banyan/core'
import { z } from 'zod'
import { Checkout } from '../orders/contract.ts'

export const PaymentStatus = z.enum(['pending', 'succeeded', 'declined', 'refunding', 'refunded', 'voided'])
export type PaymentStatus = z.infer<typeof PaymentStatus>

export const Payment = z.object({
  paymentId: z.string(),
  orderId: z.string(),
  amountCents: z.int(),
  status: PaymentStatus,
})
export type Payment = z.infer<typeof Payment>

/** A payment is named after its order, so that it can be refunded by those who never saw the answer that made it. */
export function paymentIdOf(orderId: string): string {
  return `payment-${orderId}`
}

export const paymentsApi = api('payments', {
  operations: {
    charge: {
      method: 'POST',
      path: '/payments',
      summary: "Charge an order's total",
      body: z.strictObject({ orderId: z.string().min(1), amountCents: z.int().min(0), checkout: Checkout }),
      response: Payment,
      refusals: ['declined', 'cancelled'],
      idempotencyKey: 'required',
    },
    refund: {
      method: 'POST',
      path: '/payments/{id}/refunds',
      summary: 'Give the money back; a charge that comes later is refused',
      response: Payment,
      idempotencyKey: 'required',
    },
    paymentOfOrder: { method: 'GET', path: '/payments/order/{orderId}', summary: "An order's payment", response: Payment },
  },
})

const schema = z.strictObject({ paymentId: z.string(), orderId: z.string(), amountCents: z.int(), checkout: Checkout })
const key = (data: { orderId: string }) => data.orderId

export const paymentSucceeded = event('payment.succeeded', { version: 1, schema, key })
export const paymentFailed = event('payment.failed', { version: 1, schema: schema.extend({ reason: z.string() }), key })
export const paymentRefunded = event('payment.refunded', { version: 1, schema, key })
