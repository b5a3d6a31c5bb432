import { CodedError, type ReadTransaction, type Refusal, refuse, type Transaction } from '@banyan/core'
import { type PublishOptions, publish } from '@banyan/messaging'
import { participant } from '@banyan/saga'
import type { OrderSummary } from '../orders/contract.ts'
import { type Reservation, reservationIdOf, type StockLevel, stockRejected, stockReleased, stockReserved } from './contract.ts'

type ReserveRefusal = Refusal<'out-of-stock' | 'unknown-product' | 'cancelled'>

/**
 * Holds the stock of an order, all of it or none. Repeating the key changes nothing; after {@link releaseStock} it is refused.
 *
 * @throws `ERR_ORDER_RESERVED` (409) under another key than the order's reservation was made with
 */
export async function reserveStock(tx: Transaction, key: string, order: OrderSummary): Promise<Reservation | ReserveRefusal> {
  const result = await participant(tx, { key, operation: 'stock', kind: 'do', fingerprint: order }, async () => {
    await requireNoReservation(tx, order.orderId)
    const refusal = await findShortage(tx, order)
    if (refusal) {
      await publish(tx, stockRejected, { ...order, reason: refusal.refused }, about(order.orderId))
      return refusal
    }
    return holdStock(tx, order)
  })
  return result
}

/** Gives the stock of an order back, whatever came of the reservation. */
export async function releaseStock(tx: Transaction, key: string, reservationId: string): Promise<void> {
  await participant(tx, { key, operation: 'stock', kind: 'undo' }, async () => {
    const [row] = await tx.sql<ReservationRow>`
      update reservations set status = 'released' where reservation_id = ${reservationId} and status = 'held' returning *`
    if (!row) return
    const { orderId, items } = reservationOf(row)
    for (const { productId, quantity } of items) {
      await tx.sql`update stock set available = available + ${quantity} where product_id = ${productId}`
    }
    await publish(tx, stockReleased, { orderId, items }, about(orderId))
  })
}

export async function findReservation(tx: ReadTransaction, orderId: string): Promise<Reservation> {
  const [row] = await tx.sql<ReservationRow>`select * from reservations where order_id = ${orderId}`
  if (!row) throw new CodedError('ERR_RESERVATION_UNKNOWN', `order "${orderId}" has no reservation`, { status: 404 })
  return reservationOf(row)
}

export async function findStock(tx: ReadTransaction, productId: string): Promise<StockLevel> {
  const [level] = await tx.sql<StockLevel>`
    select product_id as "productId", on_hand as "onHand", available, reorder_point as "reorderPoint"
    from stock where product_id = ${productId}`
  if (!level) throw new CodedError('ERR_PRODUCT_UNKNOWN', `there is no stock of "${productId}"`, { status: 404 })
  return level
}

interface ReservationRow {
  reservation_id: string
  order_id: string
  items: string
  status: Reservation['status']
}

async function requireNoReservation(tx: Transaction, orderId: string): Promise<void> {
  const [row] = await tx.sql`select reservation_id from reservations where order_id = ${orderId}`
  if (row) throw new CodedError('ERR_ORDER_RESERVED', `order "${orderId}" has a reservation, made under another key`, { status: 409 })
}

/** Lines of one product count together. */
async function findShortage(tx: Transaction, order: OrderSummary): Promise<Refusal<'out-of-stock' | 'unknown-product'> | undefined> {
  const wanted = Map.groupBy(order.items, (item) => item.productId)
  for (const [productId, lines] of wanted) {
    const quantity = lines.reduce((sum, line) => sum + line.quantity, 0)
    const [stock] = await tx.sql<{ available: number }>`select available from stock where product_id = ${productId}`
    if (!stock) return refuse('unknown-product', `there is no stock of "${productId}"`)
    if (stock.available < quantity) return refuse('out-of-stock', `"${productId}": wanted ${quantity}, available ${stock.available}`)
  }
  return undefined
}

async function holdStock(tx: Transaction, order: OrderSummary): Promise<Reservation> {
  for (const { productId, quantity } of order.items) {
    await tx.sql`update stock set available = available - ${quantity} where product_id = ${productId}`
  }
  const reservation: Reservation = {
    reservationId: reservationIdOf(order.orderId),
    orderId: order.orderId,
    items: order.items,
    status: 'held',
  }
  await tx.sql`
    insert into reservations (reservation_id, order_id, items, status)
    values (${reservation.reservationId}, ${order.orderId}, ${JSON.stringify(order.items)}, 'held')`
  await publish(tx, stockReserved, order, about(order.orderId))
  return reservation
}

/** All events about an order share its id, whether an event or a request led to them. */
function about(orderId: string): PublishOptions {
  return { correlationId: orderId }
}

function reservationOf(row: ReservationRow): Reservation {
  return { reservationId: row.reservation_id, orderId: row.order_id, items: JSON.parse(row.items), status: row.status }
}
