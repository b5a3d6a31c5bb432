import type { Transaction } from '@banyan/core'
import type { OrderStatus, OrderSummary } from '../orders/contract.ts'

/** An order's parcel or message: both say whose it is, neither what it cost. */
interface OfOrder {
  readonly orderId: string
  readonly customerId: string
}

/** What becomes of the read model when an order enters a state. Comes in any order: a later state is never overwritten. */
export async function projectOrder(tx: Transaction, order: OrderSummary, status: OrderStatus, reason: string | null = null): Promise<void> {
  await tx.sql`
    insert into order_history (order_id, customer_id, total_cents, status, reason)
    values (${order.orderId}, ${order.customerId}, ${order.totalCents}, ${status}, ${reason})
    on conflict (order_id) do update set
      customer_id = excluded.customer_id, total_cents = excluded.total_cents, status = excluded.status, reason = excluded.reason
    where order_history.status = 'pending'`
}

/** The order's parcel is on its way. May come before the order itself, which then fills in what is missing. */
export async function projectShipment(tx: Transaction, { orderId, customerId }: OfOrder): Promise<void> {
  await tx.sql`
    insert into order_history (order_id, customer_id, total_cents, status, shipped) values (${orderId}, ${customerId}, 0, 'pending', 1)
    on conflict (order_id) do update set shipped = 1`
}

/** Its customer has been told so. */
export async function projectNotification(tx: Transaction, { orderId, customerId }: OfOrder): Promise<void> {
  await tx.sql`
    insert into order_history (order_id, customer_id, total_cents, status, notified) values (${orderId}, ${customerId}, 0, 'pending', 1)
    on conflict (order_id) do update set notified = 1`
}
