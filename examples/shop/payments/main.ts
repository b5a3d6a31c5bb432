import { CodedError, type Database } from '@banyan/core'
import { consume, relay } from '@banyan/messaging'
import { type Host, type Service, serve } from '@banyan/service'
import { stockReserved } from '../inventory/contract.ts'
import { orderCancelled } from '../orders/contract.ts'
import { type Payment, paymentIdOf, paymentsApi } from './contract.ts'
import { beginCharge, beginRefund, type Charge, type ChargeAnswer, findPayment, settleCharge, settleRefund } from './domain.ts'
import { migrations } from './migrations.ts'
import { type Psp, pspClient } from './psp.ts'

export default function main(host: Host): Service {
  const payments = host.service('payments', { migrations })
  const psp = pspClient(host.env.PSP_URL ?? 'http://127.0.0.1:9201')

  payments.use(relay())
  payments.use(
    serve(paymentsApi, {
      charge: ({ body }, { database }) => charge(database, psp, body),
      refund: ({ params }, { database }) => refund(database, psp, params.id, orderOf(params.id)),
      paymentOfOrder: ({ params }, { database }) => database.read((tx) => findPayment(tx, params.orderId)),
    }),
  )
  // The provider is asked outside the transaction that notes the event as handled: the database never waits for it.
  payments.use(
    consume([stockReserved, orderCancelled], async () => {}, {
      prepare: async ({ type, data }, { database }) => {
        if (data.checkout !== 'choreography') return
        const { orderId, totalCents, checkout } = data
        if (type === 'stock.reserved') await charge(database, psp, { orderId, amountCents: totalCents, checkout })
        else await refund(database, psp, paymentIdOf(orderId), orderId)
      },
    }),
  )
  return payments
}

/** Intent, provider, answer: at each step a crash leaves something that the next attempt can take up. */
async function charge(database: Database, psp: Psp, order: Charge): Promise<ChargeAnswer> {
  const begun = await database.transaction((tx) => beginCharge(tx, order))
  if ('answer' in begun) return begun.answer
  const { paymentId, amountCents } = begun.pending
  const accepted = await psp.charge(paymentId, amountCents)
  return database.transaction((tx) => settleCharge(tx, paymentId, accepted))
}

async function refund(database: Database, psp: Psp, paymentId: string, orderId: string): Promise<Payment> {
  const payment = await database.transaction((tx) => beginRefund(tx, paymentId, orderId))
  if (payment.status !== 'refunding') return payment
  await psp.refund(paymentId)
  return database.transaction((tx) => settleRefund(tx, paymentId))
}

/** @throws `ERR_PAYMENT_UNKNOWN`: what is written down under a wrong name would be in the way of an order's own payment */
function orderOf(paymentId: string): string {
  const orderId = paymentId.slice(paymentIdOf('').length)
  if (orderId !== '' && paymentId === paymentIdOf(orderId)) return orderId
  throw new CodedError('ERR_PAYMENT_UNKNOWN', `there is no payment "${paymentId}"`, { status: 404 })
}
