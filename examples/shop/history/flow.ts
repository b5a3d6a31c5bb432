import { type Flow, flow } from '@banyan/saga'
import { stockRejected, stockReserved } from '../inventory/contract.ts'
import { orderCancelled, orderConfirmed, orderCreated, orderRejected } from '../orders/contract.ts'
import { paymentFailed, paymentSucceeded } from '../payments/contract.ts'
import { shipmentCreated } from '../shipping/contract.ts'

/** The choreographed checkout with another time than the shop's own. */
export const checkoutWithin = (withinMs: number): Flow =>
  flow('checkout', { version: 1 })
    .starts(orderCreated, { where: ({ checkout }) => checkout === 'choreography' })
    .then(stockReserved)
    .otherwise(stockRejected)
    .then(paymentSucceeded)
    .otherwise(paymentFailed)
    .then(orderConfirmed)
    .ends(shipmentCreated, orderRejected, orderCancelled)
    .withinMs(withinMs)

/** What should happen to an order that services drive by answering each other's events; orders of the saga are let pass. */
export const checkout: Flow = checkoutWithin(5 * 60_000)
