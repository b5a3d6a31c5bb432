import { isRefusal, refuse, type Transaction } from '@banyan/core'
import { nothing, saga } from '@banyan/saga'
import { type Exploration, explore } from '../explore.ts'
import { localState } from '../explore-database.ts'
import { hallOf, mail, type Order, pointsOf, readsFirst, seatsOf, shipping, stock, sureShipping, till, tillOf } from './planted-services.ts'

// Sagas with one mistake each, as teams make them, and the same sagas without it.

export interface PlantedBug {
  readonly name: string
  /** What the counterexample must say is broken. */
  readonly rule: RegExp
  readonly broken: (replay?: string) => Promise<Exploration>
  readonly mended: () => Promise<Exploration>
}

const input: Order = { orderId: 'o1', cents: 500 }
const options = { version: 1, key: (order: Order) => order.orderId }
const again = (replay: string | undefined) => (replay === undefined ? {} : { replay })

const shop = { stock, till }
type Stock = typeof stock.client
type Till = typeof till.client
interface Shop {
  readonly stock: Stock
  readonly till: Till
}

const reserve = ({ stock }: { stock: Stock }) => ({
  do: (c: { input: Order; key: string }) => stock.reserve({ ...c.input, key: c.key }),
  undo: (c: { key: string }) => stock.release({ key: c.key }),
})
const charge = ({ till }: { till: Till }) => ({
  do: (c: { input: Order; key: string }) => till.charge({ cents: c.input.cents, key: c.key }),
  undo: (c: { input: Order; key: string }) => till.refund({ cents: c.input.cents, key: c.key }),
})
const confirm = { local: (tx: Transaction) => void Object.assign(localState<object>(tx), { confirmed: true }) }

/** The checkout without a mistake: stock, money, no way back. */
const checkout = (clients: Shop) =>
  saga<Order>('checkout', options).step('stock', reserve(clients)).step('money', charge(clients)).pivot('confirm', confirm).done()

const good = () => explore(checkout, { input, services: shop })

/** 1. The undo is left out when the step's own result is not there: an effect whose answer was lost stays for ever. */
const undoAfterSuccess: PlantedBug = {
  name: 'an undo that runs only after success',
  rule: /a compensated saga leaves no effect: that of "stock"/,
  broken: (replay) =>
    explore(
      (clients: Shop) =>
        saga<Order>('checkout', options)
          .step('stock', {
            do: (c) => clients.stock.reserve({ ...c.input, key: c.key }),
            undo: (c) => (c.stock ? clients.stock.release({ key: c.key }) : undefined),
          })
          .step('money', charge(clients))
          .pivot('confirm', confirm)
          .done(),
      { input, services: shop, ...again(replay) },
    ),
  mended: good,
}

/** 2. A refund that gives the money back each time it is asked. */
const undoTwice: PlantedBug = {
  name: 'an undo that is not idempotent',
  rule: /nothing is taken back twice/,
  broken: (replay) => explore(checkout, { input, services: { stock, till: tillOf({ forgetsRefunds: true }) }, ...again(replay) }),
  mended: () => explore(checkout, { input, services: { stock, till: tillOf({}) } }),
}

/** 3. A refund of what never came leaves no trace, so the charge that comes late goes through. */
const noTombstone: PlantedBug = {
  name: 'no tombstone',
  rule: /a compensated saga leaves no effect: that of "money"/,
  broken: (replay) => explore(checkout, { input, services: { stock, till: tillOf({ forgetsEmptyRefunds: true }) }, ...again(replay) }),
  mended: () => explore(checkout, { input, services: { stock, till: tillOf({}) } }),
}

/** 4. A step past the point of no return that may be refused: the saga can neither go on nor back. */
const refusalPastPivot: PlantedBug = {
  name: 'a refusal after the pivot',
  rule: /"label" can neither be done nor given up/,
  broken: (replay) =>
    explore(
      (clients: Shop & { shipping: typeof shipping.client }) =>
        saga<Order>('checkout', options)
          .step('stock', reserve(clients))
          .pivot('confirm', confirm)
          .step('label', { do: (c) => clients.shipping.label({ orderId: c.input.orderId, key: c.key }) })
          .done(),
      { input, services: { ...shop, shipping }, ...again(replay) },
    ),
  mended: () =>
    explore(
      (clients: Shop & { shipping: typeof sureShipping.client }) =>
        saga<Order>('checkout', options)
          .step('stock', reserve(clients))
          .step('address', {
            do: (c) => clients.shipping.checkAddress({ orderId: c.input.orderId }),
            undo: nothing('it only looks'),
          })
          .pivot('confirm', confirm)
          .step('label', { do: (c) => clients.shipping.label({ orderId: c.input.orderId, key: c.key }) })
          .done(),
      { input, services: { ...shop, shipping: sureShipping } },
    ),
}

/** 5. A seat is booked, the answer is lost, and the next attempt finds the seat taken: by itself. */
const refusedOnRetry: PlantedBug = {
  name: 'a crash after the effect, and a refusal on retry',
  rule: /stuck and needs a person: step "seat" ended with "seat" was refused, taken/,
  broken: (replay) => explore(booking, { input, services: { hall: hallOf(false) }, ...again(replay) }),
  mended: () => explore(booking, { input, services: { hall: hallOf(true) } }),
}

/** 6. Looks whether the key is there in one transaction and does the work in another. */
const readBeforeLock: PlantedBug = {
  name: 'reading before the lock',
  rule: /no effect happens twice: that of "stock"/,
  broken: (replay) => explore(checkout, { input, services: { stock: readsFirst(false), till }, ...again(replay) }),
  mended: () => explore(checkout, { input, services: { stock: readsFirst(true), till } }),
}

/** 7. A new key for each attempt: the receiver cannot tell a repetition. */
const keyPerAttempt: PlantedBug = {
  name: 'a key that differs per attempt',
  rule: /no effect happens twice: the saga completed, and "money" has left 2 effects|leaves no effect: that of "money"/,
  broken: (replay) =>
    explore(
      (clients: Shop) =>
        saga<Order>('checkout', options)
          .step('money', {
            do: (c) => clients.till.charge({ cents: c.input.cents, key: `${c.key}:${c.attempt}` }),
            undo: (c) => clients.till.refund({ cents: c.input.cents, key: `${c.key}:1` }),
          })
          .pivot('confirm', confirm)
          .done(),
      { input, services: shop, ...again(replay) },
    ),
  mended: good,
}

/** 8. No key at all, and a receiver that does what it is told each time. */
const noKey: PlantedBug = {
  name: 'a do without an idempotency key',
  rule: /no effect happens twice: that of "points"/,
  broken: (replay) => explore(bonus, { input, services: { points: pointsOf(false) }, ...again(replay) }),
  mended: () => explore(bonus, { input, services: { points: pointsOf(true) } }),
}

/** 9. Charges the discounted price and gives the full one back. */
const refundTooMuch: PlantedBug = {
  name: 'a refund of more than was charged',
  rule: /the till has what its customers owe: it has -50/,
  broken: (replay) => explore(discounted(0), { ...discountedOptions, ...again(replay) }),
  mended: () => explore(discounted(50), discountedOptions),
}

/** 10. A local step that sends a mail while its transaction is open: the mail goes out, the transaction may not. */
const effectInTransaction: PlantedBug = {
  name: 'a local effect outside its transaction',
  rule: /no effect happens twice: that of "order"|leaves no effect: that of "order"/,
  broken: (replay) =>
    explore(
      (clients: Shop & { mail: typeof mail.client }) =>
        saga<Order>('checkout', options)
          .local('order', {
            do: async (tx, c) => {
              await clients.mail.send({ orderId: c.input.orderId })
              localState<{ orders: string[] }>(tx).orders.push(c.input.orderId)
            },
            undo: (tx) => void localState<{ orders: string[] }>(tx).orders.pop(),
          })
          .pivot('confirm', confirm)
          .done(),
      { input, services: { ...shop, mail }, local: { orders: [] }, ...again(replay) },
    ),
  mended: () =>
    explore(
      (clients: Shop & { mail: typeof mail.client }) =>
        saga<Order>('checkout', options)
          .local('order', {
            do: (tx, c) => void localState<{ orders: string[] }>(tx).orders.push(c.input.orderId),
            undo: (tx) => void localState<{ orders: string[] }>(tx).orders.pop(),
          })
          .pivot('confirm', confirm)
          // Past the pivot, and under a key.
          .step('mail', { do: (c) => clients.mail.sendOnce({ orderId: c.input.orderId, key: c.key }) })
          .done(),
      { input, services: { ...shop, mail }, local: { orders: [] } },
    ),
}

/** 11. A client that takes every answer for a success: an order is confirmed that nobody has paid. */
const refusalSwallowed: PlantedBug = {
  name: 'a refusal swallowed as a success',
  rule: /no effect is lost: the saga completed, and "money" has left 0 effects/,
  broken: (replay) =>
    explore(
      (clients: Shop) =>
        saga<Order>('checkout', options)
          .step('money', {
            do: async (c) => {
              const answer = await clients.till.charge({ cents: c.input.cents, key: c.key })
              return { paymentId: isRefusal(answer) ? 'unknown' : answer.paymentId }
            },
            undo: (c) => clients.till.refund({ cents: c.input.cents, key: c.key }),
          })
          .pivot('confirm', confirm)
          .done(),
      { input, services: shop, ...again(replay) },
    ),
  mended: good,
}

/** 12. A timeout told as a refusal: the engine is made to believe that nothing has happened. */
const timeoutAsRefusal: PlantedBug = {
  name: 'a timeout treated as a refusal',
  rule: /a compensated saga leaves no effect: that of "money"/,
  broken: (replay) =>
    explore(
      (clients: Shop) =>
        saga<Order>('checkout', options)
          .step('money', {
            do: (c) => clients.till.charge({ cents: c.input.cents, key: c.key }).catch(() => refuse('timeout')),
            undo: (c) => clients.till.refund({ cents: c.input.cents, key: c.key }),
          })
          .pivot('confirm', confirm)
          .done(),
      { input, services: shop, ...again(replay) },
    ),
  mended: good,
}

/** 13. An undo that fails when there is nothing to undo: 404, again and again. */
const undoOfNothingFails: PlantedBug = {
  name: 'an undo that fails when there is nothing to undo',
  rule: /stuck and needs a person: the undo of step "money" ended with an error, ERR_UNKNOWN_PAYMENT/,
  broken: (replay) => explore(checkout, { input, services: { stock, till: tillOf({ failsEmptyRefunds: true }) }, ...again(replay) }),
  mended: () => explore(checkout, { input, services: { stock, till: tillOf({}) } }),
}

/** 14. Takes the seat, then looks whether it was given back before, and dies in between: nobody will ever give it back. */
const lateAndHalfway: PlantedBug = {
  name: 'a tombstone that is looked for last',
  rule: /a compensated saga leaves no effect: that of "seat"/,
  broken: (replay) => explore(seating, { input, services: { seats: seatsOf({ looksLast: true }) }, ...again(replay) }),
  mended: () => explore(seating, { input, services: { seats: seatsOf({}) } }),
}

/** 15. Says no and keeps no note of it: a copy of the call that comes when there is a seat again takes it, for a saga that was refused. */
const refusalForgotten: PlantedBug = {
  name: 'a refusal that is forgotten',
  rule: /a compensated saga leaves no effect: that of "seat"/,
  broken: (replay) => explore(seating, { input, services: { seats: seatsOf({ forgetsRefusals: true }) }, ...again(replay) }),
  mended: () => explore(seating, { input, services: { seats: seatsOf({}) } }),
}

/** 16. The order's id for a key, as an order is paid once; now it is paid in two parts. The till takes the second for the first again. */
const oneKey: PlantedBug = {
  name: 'one key for two steps',
  rule: /each step has a key of its own: "rest" is taken for a repetition of "deposit" \(till o1\)/,
  broken: (replay) =>
    explore(
      instalments(() => 'o1'),
      { input, services: { till }, ...again(replay) },
    ),
  mended: () =>
    explore(
      instalments(({ key }) => key),
      { input, services: { till } },
    ),
}

const instalments =
  (keyOf: (c: { key: string }) => string) =>
  ({ till }: { till: Till }) => {
    const part = {
      do: (c: { input: Order; key: string }) => till.charge({ cents: c.input.cents / 2, key: keyOf(c) }),
      undo: (c: { input: Order; key: string }) => till.refund({ cents: c.input.cents / 2, key: keyOf(c) }),
    }
    return saga<Order>('instalments', options).step('deposit', part).step('rest', part).pivot('confirm', confirm).done()
  }

const seating = ({ seats }: { seats: ReturnType<typeof seatsOf>['client'] }) =>
  saga<Order>('seating', options)
    .step('seat', { do: (c) => seats.take({ key: c.key }), undo: (c) => seats.giveBack({ key: c.key }) })
    .pivot('confirm', confirm)
    .done()

const booking = ({ hall }: { hall: ReturnType<typeof hallOf>['client'] }) =>
  saga<Order>('booking', options)
    .pivot('seat', { do: (c) => hall.book({ key: c.key }) })
    .done()

const bonus = ({ points }: { points: ReturnType<typeof pointsOf>['client'] }) =>
  saga<Order>('bonus', options)
    .pivot('confirm', confirm)
    .step('points', { do: (c) => points.give({ key: c.key }) })
    .done()

const discounted = (discount: number) => (clients: Shop) =>
  saga<Order>('checkout', options)
    .step('money', {
      do: (c) => clients.till.charge({ cents: c.input.cents - 50, key: c.key }),
      undo: (c) => clients.till.refund({ cents: c.input.cents - discount, key: c.key }),
    })
    .step('stock', reserve(clients))
    .pivot('confirm', confirm)
    .done()

const discountedOptions = {
  input,
  services: shop,
  invariants: {
    'the till has what its customers owe': ({ services, saga }: { services: { till: { taken: number } }; saga: { status: string } }) =>
      services.till.taken === (saga.status === 'completed' ? 450 : 0) || `it has ${services.till.taken}`,
  },
}

export const plantedBugs: readonly PlantedBug[] = [
  undoAfterSuccess,
  undoTwice,
  noTombstone,
  refusalPastPivot,
  refusedOnRetry,
  readBeforeLock,
  keyPerAttempt,
  noKey,
  refundTooMuch,
  effectInTransaction,
  refusalSwallowed,
  timeoutAsRefusal,
  undoOfNothingFails,
  lateAndHalfway,
  refusalForgotten,
  oneKey,
]
