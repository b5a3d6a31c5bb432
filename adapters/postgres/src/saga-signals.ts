import type { Transaction } from '@banyan/core'
import type { SagaSignal, SagaSignals } from '@banyan/saga/internal'
import type { PostgresDatabase } from './postgres-database.ts'

/** The first of the two numbers of this store's advisory locks; nothing else uses it. */
const LOCKS = 1_002

/** What sagas wait for. */
export function postgresSagaSignals({ world }: PostgresDatabase): SagaSignals {
  return { world, send, take, forget }
}

const send: SagaSignals['send'] = async (tx, { id, channel, body, at }) => {
  await hold(tx, channel)
  const [sent] = await tx.sql`
    insert into banyan_saga_signals (id, channel, body, sent_at) values (${id}, ${channel}, ${body}, ${at})
    on conflict (id) do nothing returning 1`
  if (!sent) return false
  await tx.sql`update banyan_sagas set live = true, wake_at = null, channel = null where channel = ${channel}`
  return true
}

const take: SagaSignals['take'] = async (tx, channel, saga) => {
  await hold(tx, channel)
  const [signal] = await tx.sql<SagaSignal>`
    update banyan_saga_signals set taken_by = ${saga}
    where position = (select min(position) from banyan_saga_signals where channel = ${channel} and taken_by is null)
    returning id, channel, body, sent_at as at`
  return signal
}

const forget: SagaSignals['forget'] = async (tx, before, limit) => {
  const gone = await tx.sql`
    delete from banyan_saga_signals where position = any(array(
      select position from banyan_saga_signals where sent_at < ${before} order by sent_at limit ${limit} for update skip locked))
    returning 1`
  return gone.length
}

/**
 * Until the end of the transaction: who sends and who looks before it parks must not pass each other. A SERIALIZABLE transaction that has
 * waited here does not see what the other one did; PostgreSQL then refuses one of the two, and it runs again.
 */
async function hold(tx: Transaction, channel: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(${LOCKS}::integer, hashtext(${channel}))`
}
