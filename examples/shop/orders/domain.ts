import { CodedError, type ReadTransaction, type Refusal, refuse, type Transaction } from '@banyan/core'
import { type PublishOptions, publish } from '@banyan/messaging'
import type { Checkout, OrderStatus, OrderSummary, OrderView } from './contract.ts'
import { orderCancelled, orderConfirmed, orderCreated, orderRejected } from './contract.ts'

interface OrderRow {
  order_id: string
  customer_id: string
  items: string
  total_cents: number
  checkout: Checkout
  status: OrderStatus
  reason: string | null
  cancel_requested: number
}

/** Writes a new order down, pending. */
export async function insertOrder(tx: Transaction, order: OrderSummary): Promise<void> {
  await tx.sql`
    insert into orders (order_id, customer_id, items, total_cents, checkout, status)
    values (${order.orderId}, ${order.customerId}, ${JSON.stringify(order.items)}, ${order.totalCents}, ${order.checkout}, 'pending')`
}

/** Tells the others that there is a new order. */
export async function announceOrder(tx: Transaction, order: OrderSummary): Promise<void> {
  await publish(tx, orderCreated, order, about(order.orderId))
}

/** The point of no return: the order will be shipped. Refused once its customer has asked to cancel it. */
export async function confirmOrder(tx: Transaction, orderId: string): Promise<Refusal<'cancelled'> | undefined> {
  const row = await requireOrder(tx, orderId)
  if (row.status === 'confirmed') return undefined
  if (row.status !== 'pending' || row.cancel_requested) return refuse('cancelled', `the order is ${row.status}`)
  await tx.sql`update orders set status = 'confirmed' where order_id = ${orderId}`
  await publish(tx, orderConfirmed, summaryOf(row), about(orderId))
  return undefined
}

/** The end of an order that cannot be filled, or that its customer no longer wants. */
export async function rejectOrder(tx: Transaction, orderId: string, reason: string): Promise<void> {
  const row = await requireOrder(tx, orderId)
  if (row.status !== 'pending') return
  if (row.cancel_requested) return cancelNow(tx, row)
  await tx.sql`update orders set status = 'rejected', reason = ${reason} where order_id = ${orderId}`
  await publish(tx, orderRejected, { ...summaryOf(row), reason }, about(orderId))
}

/**
 * A customer takes the order back. With a saga in charge the wish is noted and the saga's pivot refuses; without one the
 * order is cancelled now and those who hold stock or money hear of it.
 */
export async function cancelOrder(tx: Transaction, orderId: string, customerId: string): Promise<OrderView | Refusal<'already-confirmed'>> {
  const row = await requireOrder(tx, orderId)
  if (row.customer_id !== customerId) throw unknownOrder(orderId)
  if (row.status === 'confirmed') return refuse('already-confirmed', 'it is too late to cancel this order')
  if (row.status === 'pending') {
    await tx.sql`update orders set cancel_requested = 1 where order_id = ${orderId}`
    if (row.checkout === 'choreography') await cancelNow(tx, row)
  }
  return viewOf(await requireOrder(tx, orderId))
}

/** @throws `ERR_ORDER_UNKNOWN`, for other customers' orders too: nobody learns which ids exist */
export async function findOrder(tx: ReadTransaction, orderId: string, customerId: string): Promise<OrderView> {
  const row = await requireOrder(tx, orderId)
  if (row.customer_id !== customerId) throw unknownOrder(orderId)
  return viewOf(row)
}

async function cancelNow(tx: Transaction, row: OrderRow): Promise<void> {
  await tx.sql`update orders set status = 'cancelled' where order_id = ${row.order_id}`
  await publish(tx, orderCancelled, summaryOf(row), about(row.order_id))
}

/** All events about an order share its id, whoever asked for what they tell: a request, another event, a saga. */
function about(orderId: string): PublishOptions {
  return { correlationId: orderId }
}

async function requireOrder(tx: ReadTransaction, orderId: string): Promise<OrderRow> {
  const [row] = await tx.sql<OrderRow>`select * from orders where order_id = ${orderId}`
  if (!row) throw unknownOrder(orderId)
  return row
}

function unknownOrder(orderId: string): CodedError {
  return new CodedError('ERR_ORDER_UNKNOWN', `there is no order "${orderId}"`, { status: 404 })
}

function summaryOf(row: OrderRow): OrderSummary {
  return {
    orderId: row.order_id,
    customerId: row.customer_id,
    items: JSON.parse(row.items),
    totalCents: row.total_cents,
    checkout: row.checkout,
  }
}

function viewOf(row: OrderRow): OrderView {
  const { checkout: _, ...order } = summaryOf(row)
  return { ...order, status: row.status, ...(row.reason === null ? {} : { reason: row.reason }) }
}
