import { isRefusal, type Transaction } from '@banyan/core'
import type { Asked } from './call.ts'

/**
 * A guard as it should not be: it does everything once, and an `undo` that comes first leaves nothing behind. A `do` that is late
 * then happens, and nobody will ever undo it. To show that the checker finds that.
 */
export async function naiveGuard(tx: Transaction, { key, kind, step }: Asked, body: () => Promise<unknown>): Promise<unknown> {
  const note = (name: string) => tx.sql`insert into naive_keys (key) values (${name}) on conflict (key) do nothing returning key`
  const [known] = await tx.sql`select 1 as one from naive_keys where key = ${`do ${key}`}`
  if (kind === 'undo') return known && (await note(`undo ${key}`)).length > 0 ? body() : { done: step }
  if (known) return { done: step }
  const answered = await body()
  if (!isRefusal(answered)) await note(`do ${key}`)
  return answered
}
