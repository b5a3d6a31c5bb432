import { createHash } from 'node:crypto'
import { CodedError, isRefusal, type Transaction } from '@banyan/core'
import { participant } from '@banyan/saga'

/**
 * Places an order once for each key of a customer: a repeated request gets the first one's answer, the same key with another body is refused.
 *
 * @throws `ERR_KEY_REUSED` (422)
 */
export async function once<T>(tx: Transaction, whose: Whose, body: unknown, place: () => Promise<T>): Promise<T> {
  const answer = await participant(tx, { key: keyOf(whose), operation: 'place-order', kind: 'do', fingerprint: body }, place)
  // Nobody undoes an order's key: cancelling is an operation of its own.
  if (isRefusal(answer)) throw new CodedError('ERR_KEY_CANCELLED', `the idempotency key was cancelled: ${answer.refused}`, { status: 409 })
  return answer
}

interface Whose {
  readonly customerId: string
  /** The `Idempotency-Key`, up to 255 characters. */
  readonly key: string
}

/** As many characters as a participant's key may have. */
const LONGEST = 255

/** Two customers may choose the same key. With the customer before it a long one would not fit any more: of that, its digest. */
function keyOf({ customerId, key }: Whose): string {
  const whole = `${customerId}:${key}`
  return whole.length <= LONGEST ? whole : `${customerId}:sha256:${createHash('sha256').update(key).digest('hex')}`
}
