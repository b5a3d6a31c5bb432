import type { Transaction } from '@banyan/core'
import type { OrderStatus, OrderSummary } from '../orders/contract.ts'

/** What becomes of the read model when an order enters a state. Comes in any order: a later state is never overwritten. */
export async function projectOrder(tx: Transaction, order: OrderSummary, status: OrderStatus, reason: string | null = null): Promise<void> {
  await tx.sql`
    insert into order_history (order_id, customer_id, total_cents, status, reason)
    values (${order.orderId}, ${order.customerId}, ${order.totalCents}, ${status}, ${reason})
    on conflict (order_id) do update set
      customer_id = excluded.customer_id, total_cents = excluded.total_cents, status = excluded.status, reason = excluded.reason
    where order_history.status = 'pending'`
}

/** The order's parcel is on its way. */
export async function projectShipment(tx: Transaction, orderId: string): Promise<void> {
  await tx.sql`update order_history set shipped = 1 where order_id = ${orderId}`
}

/** Its customer has been told so. */
export async function projectNotification(tx: Transaction, orderId: string): Promise<void> {
  await tx.sql`update order_history set notified = 1 where order_id = ${orderId}`
}
