import { CodedError, isRefusal, type Transaction } from '@banyan/core'
import { participant } from '@banyan/saga'

/**
 * Places an order once for each key: a repeated request gets the first one's answer, the same key with another body is refused.
 *
 * @throws `ERR_KEY_REUSED` (422)
 */
export async function once<T>(tx: Transaction, key: string, body: unknown, place: () => Promise<T>): Promise<T> {
  const answer = await participant(tx, { key, operation: 'place-order', kind: 'do', fingerprint: body }, place)
  // Nobody undoes an order's key: cancelling is an operation of its own.
  if (isRefusal(answer)) throw new CodedError('ERR_KEY_CANCELLED', `the idempotency key was cancelled: ${answer.refused}`, { status: 409 })
  return answer
}
