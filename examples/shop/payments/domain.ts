import { CodedError, type ReadTransaction, type Refusal, refuse, type Transaction } from '@banyan/core'
import { publish } from '@banyan/messaging'
import type { Checkout } from '../orders/contract.ts'
import { type Payment, type PaymentStatus, paymentFailed, paymentIdOf, paymentRefunded, paymentSucceeded } from './contract.ts'

export interface Charge {
  orderId: string
  amountCents: number
  checkout: Checkout
}

export type ChargeAnswer = Payment | Refusal<'declined' | 'cancelled'>

/**
 * Notes that a charge is under way, before the provider is asked: a crash in between leaves a pending payment that the next
 * attempt takes up under the same key. Gives the answer at once when there is one.
 *
 * @throws `ERR_PAYMENT_DIFFERS` (422) where the order has a payment of another amount
 */
export async function beginCharge(tx: Transaction, charge: Charge): Promise<{ answer: ChargeAnswer } | { pending: Payment }> {
  await tx.sql`
    insert into payments (payment_id, order_id, amount_cents, checkout, status)
    values (${paymentIdOf(charge.orderId)}, ${charge.orderId}, ${charge.amountCents}, ${charge.checkout}, 'pending')
    on conflict (payment_id) do nothing`
  const row = await requirePayment(tx, paymentIdOf(charge.orderId))
  // A void one was never of an amount.
  if (row.status !== 'voided' && row.amount_cents !== charge.amountCents) throw differs(row, charge)
  return row.status === 'pending' ? { pending: paymentOf(row) } : { answer: answerOf(row) }
}

/** Writes the provider's answer down. A refund that came in between wins: the charge counts as cancelled. */
export async function settleCharge(tx: Transaction, paymentId: string, accepted: boolean): Promise<ChargeAnswer> {
  const row = await requirePayment(tx, paymentId)
  if (row.status !== 'pending') return answerOf(row)
  const settled = await setStatus(tx, row, accepted ? 'succeeded' : 'declined')
  // All events about an order share its id: the provider was asked outside of the transaction that handled the event before.
  const about = { correlationId: row.order_id }
  if (accepted) await publish(tx, paymentSucceeded, eventOf(settled), about)
  else await publish(tx, paymentFailed, { ...eventOf(settled), reason: 'declined' }, about)
  return answerOf(settled)
}

/**
 * Notes that the money is to go back. A refund of a charge nobody has seen leaves a void payment, which refuses the charge
 * when it comes late.
 */
export async function beginRefund(tx: Transaction, paymentId: string, orderId: string): Promise<Payment> {
  await tx.sql`
    insert into payments (payment_id, order_id, amount_cents, checkout, status)
    values (${paymentId}, ${orderId}, 0, 'orchestration', 'voided')
    on conflict (payment_id) do nothing`
  const row = await requirePayment(tx, paymentId)
  if (row.status !== 'pending' && row.status !== 'succeeded') return paymentOf(row)
  return paymentOf(await setStatus(tx, row, 'refunding'))
}

/** Writes down that the provider has given the money back. */
export async function settleRefund(tx: Transaction, paymentId: string): Promise<Payment> {
  const row = await requirePayment(tx, paymentId)
  if (row.status !== 'refunding') return paymentOf(row)
  const refunded = await setStatus(tx, row, 'refunded')
  await publish(tx, paymentRefunded, eventOf(refunded), { correlationId: row.order_id })
  return paymentOf(refunded)
}

export async function findPayment(tx: ReadTransaction, orderId: string): Promise<Payment> {
  const [row] = await tx.sql<PaymentRow>`select * from payments where order_id = ${orderId}`
  if (!row) throw new CodedError('ERR_PAYMENT_UNKNOWN', `order "${orderId}" has no payment`, { status: 404 })
  return paymentOf(row)
}

interface PaymentRow {
  payment_id: string
  order_id: string
  amount_cents: number
  checkout: Checkout
  status: PaymentStatus
}

async function requirePayment(tx: ReadTransaction, paymentId: string): Promise<PaymentRow> {
  const [row] = await tx.sql<PaymentRow>`select * from payments where payment_id = ${paymentId}`
  if (!row) throw new CodedError('ERR_PAYMENT_UNKNOWN', `there is no payment "${paymentId}"`, { status: 404 })
  return row
}

function differs(row: PaymentRow, charge: Charge): CodedError {
  const what = `order "${row.order_id}" has a payment of ${row.amount_cents} cents and cannot be charged ${charge.amountCents}`
  return new CodedError('ERR_PAYMENT_DIFFERS', what, { status: 422 })
}

async function setStatus(tx: Transaction, row: PaymentRow, status: PaymentStatus): Promise<PaymentRow> {
  await tx.sql`update payments set status = ${status} where payment_id = ${row.payment_id}`
  return { ...row, status }
}

function answerOf(row: PaymentRow): ChargeAnswer {
  if (row.status === 'succeeded') return paymentOf(row)
  if (row.status === 'declined') return refuse('declined', 'the payment provider declined the charge')
  return refuse('cancelled', `the payment is ${row.status}`)
}

function paymentOf(row: PaymentRow): Payment {
  return { paymentId: row.payment_id, orderId: row.order_id, amountCents: row.amount_cents, status: row.status }
}

function eventOf(row: PaymentRow) {
  return { paymentId: row.payment_id, orderId: row.order_id, amountCents: row.amount_cents, checkout: row.checkout }
}
