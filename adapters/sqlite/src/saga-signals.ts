import type { SagaSignal, SagaSignals } from '@banyan/saga/internal'
import type { SqliteDatabase } from './sqlite-database.ts'

/** What sagas wait for. SQLite's single writer holds every channel, until the end of the transaction. */
export function sqliteSagaSignals({ world }: SqliteDatabase): SagaSignals {
  return { world, send, take, forget }
}

const send: SagaSignals['send'] = async (tx, { id, channel, body, at }) => {
  const [sent] = await tx.sql`
    insert into banyan_saga_signals (id, channel, body, sent_at) values (${id}, ${channel}, ${body}, ${at})
    on conflict (id) do nothing returning 1`
  if (!sent) return false
  await tx.sql`update banyan_sagas set live = 1, wake_at = null, channel = null where channel = ${channel}`
  return true
}

const take: SagaSignals['take'] = async (tx, channel, saga) => {
  const [signal] = await tx.sql<SagaSignal>`
    update banyan_saga_signals set taken_by = ${saga}
    where position = (select min(position) from banyan_saga_signals where channel = ${channel} and taken_by is null)
    returning id, channel, body, sent_at as "at"`
  return signal
}

const forget: SagaSignals['forget'] = async (tx, before, limit) => {
  const gone = await tx.sql`
    delete from banyan_saga_signals where position in
      (select position from banyan_saga_signals where sent_at < ${before} order by sent_at limit ${limit})
    returning 1`
  return gone.length
}
