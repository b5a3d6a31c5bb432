// What must hold when the dust has settled. Reads the services' own databases; asks nobody.
import { type BookPlace, type Books, type Row, readBooks } from './books.ts'

export interface Broken {
  readonly rule: string
  readonly orders: readonly string[]
}

export interface Report {
  readonly orders: Readonly<Record<string, number>>
  readonly broken: readonly Broken[]
}

/** Checks every invariant of the shop. `accepted`: the orders that clients were told about. */
export async function checkInvariants(place: BookPlace, accepted: readonly string[]): Promise<Report> {
  const books = await readBooks(place)
  const rules: readonly [string, (books: Books, accepted: readonly string[]) => string[]][] = [
    ['an accepted order is in the books', lostOrders],
    ['an order ends confirmed, rejected or cancelled', unfinished],
    ['payments: a confirmed order is charged its total, any other nothing', wrongPayments],
    ["the provider's ledger says what payments say", wrongLedger],
    ['inventory: a confirmed order holds its stock, any other none', wrongReservations],
    ['stock taken equals what confirmed orders hold, and is never negative', wrongStock],
    ['one shipment for a confirmed order, none for any other', wrongShipments],
    ['one message of each kind, "shipped" for confirmed orders only', wrongMessages],
    ['the read model says what the services say', wrongHistory],
    ['nothing is charged, held, sent or shown for an order that is not in the books', strays],
  ]
  const broken = rules.map(([rule, find]) => ({ rule, orders: find(books, accepted) })).filter(({ orders }) => orders.length > 0)
  const counts = Map.groupBy(books.orders, (order) => String(order.status))
  return { orders: Object.fromEntries([...counts].map(([status, orders]) => [status, orders.length])), broken }
}

/** How many orders have not come to rest: their own state, or what others still have to do about them. */
export async function countUnsettled(place: BookPlace): Promise<number> {
  const books = await readBooks(place)
  const late = new Set([
    ...unfinished(books),
    ...wrongPayments(books),
    ...wrongReservations(books),
    ...wrongShipments(books),
    ...wrongMessages(books),
    ...wrongHistory(books),
  ])
  return late.size
}

const confirmed = (order: Row) => order.status === 'confirmed'
const id = (order: Row) => String(order.order_id)
const isTo = (order: Row) => (sent: Row) => sent.customer_id === order.customer_id

function lostOrders({ orders }: Books, accepted: readonly string[]): string[] {
  const known = new Set(orders.map(id))
  return accepted.filter((orderId) => !known.has(orderId))
}

function unfinished({ orders }: Books): string[] {
  return orders.filter((order) => order.status === 'pending').map(id)
}

function wrongPayments({ orders, payments }: Books): string[] {
  const isWrong = (order: Row) => {
    const payment = payments.get(order.order_id)
    const charged = payment?.status === 'succeeded' ? Number(payment.amount_cents) : 0
    const open = payment?.status === 'pending' || payment?.status === 'refunding'
    return open || charged !== (confirmed(order) ? Number(order.total_cents) : 0)
  }
  return orders.filter(isWrong).map(id)
}

function wrongLedger({ orders, payments, charges }: Books): string[] {
  const isWrong = (order: Row) => {
    const charge = charges.get(payments.get(order.order_id)?.payment_id)
    const taken = charge?.status === 'accepted' ? Number(charge.amount_cents) : 0
    return taken !== (confirmed(order) ? Number(order.total_cents) : 0)
  }
  // Money taken under a key that no payment has: nobody would ever give it back.
  const keys = new Set([...payments.values()].map((payment) => payment.payment_id))
  const unknown = [...charges.values()].filter(({ key, status }) => status === 'accepted' && !keys.has(key ?? null))
  return [...orders.filter(isWrong).map(id), ...unknown.map(({ key }) => `charge ${key}`)]
}

function wrongReservations({ orders, reservations }: Books): string[] {
  return orders.filter((order) => (reservations.get(order.order_id)?.status === 'held') !== confirmed(order)).map(id)
}

function wrongStock({ stock, orders }: Books): string[] {
  const sold = new Map<string, number>()
  for (const order of orders.filter(confirmed)) {
    for (const { productId, quantity } of JSON.parse(String(order.items)) as { productId: string; quantity: number }[]) {
      sold.set(productId, (sold.get(productId) ?? 0) + quantity)
    }
  }
  const isWrong = (level: Row) =>
    Number(level.available) < 0 || Number(level.on_hand) - Number(level.available) !== (sold.get(String(level.product_id)) ?? 0)
  const kept = new Set(stock.map((level) => String(level.product_id)))
  const wrong = stock.filter(isWrong).map((level) => String(level.product_id))
  return [...wrong, ...[...sold.keys()].filter((product) => !kept.has(product))].map((product) => `stock of ${product}`)
}

function wrongShipments({ orders, shipments }: Books): string[] {
  const isWrong = (order: Row) => {
    const sent = shipments.get(order.order_id) ?? []
    return sent.length !== (confirmed(order) ? 1 : 0) || !sent.every(isTo(order))
  }
  return orders.filter(isWrong).map(id)
}

function wrongMessages({ orders, messages }: Books): string[] {
  const isWrong = (order: Row) => {
    const sent = messages.get(order.order_id) ?? []
    const kinds = sent.map((message) => String(message.kind)).sort()
    const wanted = ['received', String(order.status), ...(confirmed(order) ? ['shipped'] : [])].sort()
    return kinds.join() !== wanted.join() || !sent.every(isTo(order))
  }
  return orders.filter(isWrong).map(id)
}

function wrongHistory({ orders, history }: Books): string[] {
  const isWrong = (order: Row) => {
    const entry = history.get(order.order_id)
    const flag = confirmed(order) ? 1 : 0
    return (
      entry?.status !== order.status ||
      entry?.total_cents !== order.total_cents ||
      entry?.customer_id !== order.customer_id ||
      entry?.reason !== order.reason ||
      entry?.shipped !== flag ||
      entry?.notified !== flag
    )
  }
  return orders.filter(isWrong).map(id)
}

/** What others have for orders that nobody knows. What was given up counts for nothing: whoever refunds what never came leaves it void. */
function strays({ orders, payments, reservations, shipments, messages, history }: Books): string[] {
  const known = new Set(orders.map(id))
  const charged = [...payments.values()].filter(({ status }) => status === 'succeeded' || status === 'pending' || status === 'refunding')
  const held = [...reservations.values()].filter(({ status }) => status === 'held')
  const named = [...[...charged, ...held].map(id), ...[...shipments.keys(), ...messages.keys(), ...history.keys()].map(String)]
  return [...new Set(named)].filter((orderId) => !known.has(orderId))
}
