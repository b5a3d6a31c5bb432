// The saga of an order, ready to be explored: npm run banyan -- saga explore examples/shop/orders/explore.ts
// Inventory and payments are simulated as their contracts promise them; orders runs its own SQL in a SQLite database in memory.
import { refuse, type Transaction } from '@banyan/core'
import { sqlite } from '@banyan/sqlite'
import { type Explorable, type ExploredWorld, explorable, type RealContent, realDatabase, service } from '@banyan/testing/explore'
import { type Reservation, reservationIdOf } from '../inventory/contract.ts'
import { type Payment, paymentIdOf } from '../payments/contract.ts'
import type { OrderStatus, OrderSummary } from './contract.ts'
import { cancelOrder, insertOrder } from './domain.ts'
import { orderFulfilment } from './fulfilment.ts'
import { migrations } from './migrations.ts'

const order: OrderSummary = {
  orderId: 'o1',
  customerId: 'ada',
  items: [{ productId: 'fig-tree', quantity: 2 }],
  totalCents: 4980,
  checkout: 'orchestration',
}

/** Holds all of an order or none; repeating a key changes nothing, and what is released first is refused later. */
const inventory = service({
  state: { available: 3, held: 0 },
  operations: {
    reserve: {
      guard: 'stock',
      fingerprint: ({ body }: { body: OrderSummary }) => body,
      refusals: ['out-of-stock', 'unknown-product'],
      do(state, { body }: { body: OrderSummary; key: string }): Reservation {
        state.available -= 2
        state.held += 2
        return { reservationId: reservationIdOf(body.orderId), orderId: body.orderId, items: body.items, status: 'held' }
      },
    },
    release: {
      guard: 'stock',
      undo(state, _request: { params: { id: string }; key: string }) {
        state.available += state.held
        state.held = 0
      },
    },
  },
})

interface Till {
  payments: Record<string, Payment>
  /** The provider's own books: the first word on a key is the last, until it is given back. */
  ledger: Record<string, 'accepted' | 'declined' | 'refunded'>
}

/** Notes what it is about to do, asks the provider, notes the answer: three steps, and a crash may come between any two. */
const payments = service({
  state: { payments: {}, ledger: {} } as Till,
  operations: {
    charge: {
      refusals: ['declined'],
      async steps(atomic, { body }: { body: { orderId: string; amountCents: number }; key: string }, call) {
        const paymentId = paymentIdOf(body.orderId)
        const begun = await atomic(({ payments }) => {
          payments[paymentId] ??= { paymentId, orderId: body.orderId, amountCents: body.amountCents, status: 'pending' }
          return payments[paymentId]
        })
        if (begun.status !== 'pending') return chargeAnswer(begun)
        const said = await atomic(({ ledger }) => {
          if (ledger[paymentId] === undefined) {
            ledger[paymentId] = call.refusal ? 'declined' : 'accepted'
            if (!call.refusal) call.did()
          }
          return ledger[paymentId]
        })
        const settled = await atomic((state) => {
          const payment = paymentIn(state, paymentId)
          // A refund that came in between wins.
          if (payment.status === 'pending') payment.status = said === 'accepted' ? 'succeeded' : 'declined'
          return payment
        })
        return chargeAnswer(settled)
      },
    },
    refund: {
      async steps(atomic, { params: { id } }: { params: { id: string }; key: string }, call) {
        const begun = await atomic(({ payments }) => {
          payments[id] ??= { paymentId: id, orderId: order.orderId, amountCents: 0, status: 'voided' }
          if (payments[id].status === 'pending' || payments[id].status === 'succeeded') payments[id].status = 'refunding'
          return payments[id]
        })
        if (begun.status !== 'refunding') return begun
        await atomic(({ ledger }) => {
          if (ledger[id] === 'accepted') call.undid()
          if (ledger[id] !== 'declined') ledger[id] = 'refunded'
        })
        return atomic((state) => {
          const payment = paymentIn(state, id)
          if (payment.status === 'refunding') payment.status = 'refunded'
          return payment
        })
      },
    },
  },
})

function paymentIn({ payments }: Till, id: string): Payment {
  const payment = payments[id]
  if (payment) return payment
  throw new Error(`there is no payment "${id}"`)
}

function chargeAnswer(payment: Payment) {
  if (payment.status === 'succeeded') return payment
  return payment.status === 'declined' ? refuse('declined') : refuse('cancelled', `the payment is ${payment.status}`)
}

interface Row {
  order_id: string
  customer_id: string
  items: string
  total_cents: number
  checkout: string
  status: OrderStatus
  reason: string | null
  cancel_requested: number
}

type Explored = ExploredWorld<{ inventory: typeof inventory.state; payments: Till }, RealContent<Row[]>>

const invariants = {
  'an order ends as its saga does': ({ saga, local }: Explored) => {
    const { status = 'pending' } = local.rows[0] ?? {}
    const wanted: readonly OrderStatus[] = saga.status === 'completed' ? ['confirmed'] : ['rejected', 'cancelled']
    return wanted.includes(status) || `it is ${status}, its saga ${saga.status}`
  },
  'a confirmed order holds its stock, any other none': ({ saga, services }: Explored) =>
    services.inventory.held === (saga.status === 'completed' ? 2 : 0) && services.inventory.available + services.inventory.held === 3,
  'a confirmed order is charged, any other is not': ({ saga, services: { payments } }: Explored) =>
    (payments.ledger[paymentIdOf(order.orderId)] === 'accepted') === (saga.status === 'completed'),
  "payments say what the provider's books say": ({ services: { payments } }: Explored) => {
    const { status = 'none' } = payments.payments[paymentIdOf(order.orderId)] ?? {}
    return (status === 'succeeded') === (payments.ledger[paymentIdOf(order.orderId)] === 'accepted') || `the payment is ${status}`
  },
  'others hear of an order once, and of its end once': ({ saga, local: { published } }: Explored) => {
    const heard = published.map(({ type }) => type)
    const ends = saga.status === 'completed' ? ['order.confirmed'] : ['order.rejected', 'order.cancelled']
    // A saga undone before its first step has committed has told nobody; then it tells of its end alone, or of nothing.
    return (heard.length <= 2 && heard.slice(1).every((type) => ends.includes(type))) || `they heard ${heard.join(', ')}`
  },
}

async function ordersDatabase() {
  const database = sqlite(':memory:', { name: 'orders' })
  await database.migrate(migrations)
  await database.transaction((tx) => insertOrder(tx, order))
  return realDatabase(database, { save: (tx) => tx.sql<Row>`select * from orders order by order_id`, load: loadOrders })
}

async function loadOrders(tx: Transaction, rows: readonly Row[]): Promise<void> {
  await tx.sql`delete from orders`
  for (const row of rows) {
    await tx.sql`
      insert into orders (order_id, customer_id, items, total_cents, checkout, status, reason, cancel_requested)
      values (${row.order_id}, ${row.customer_id}, ${row.items}, ${row.total_cents}, ${row.checkout}, ${row.status}, ${row.reason}, ${row.cancel_requested})`
  }
}

// region explore
const explored: Explorable = explorable(orderFulfilment, async () => ({
  input: order,
  services: { inventory, payments },
  database: await ordersDatabase(),
  meanwhile: { 'the customer cancels': (tx) => cancelOrder(tx, order.orderId, order.customerId) },
  invariants,
  faults: 3,
}))
// endregion

export default explored
