import type { Transaction } from '@banyan/core'
import type { SagaSignal, SagaSignals } from '@banyan/saga/internal'
import type { PostgresDatabase } from './postgres-database.ts'

/**
 * How many rows stand for all channels; a power of two. Channels that share one wait for each other, and with a snapshot that was there
 * before the other one's turn, run once more for nothing: with many that is seldom. All processes of a database must agree.
 */
const BUCKETS = 4_096

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
 * Until the end of the transaction: who sends and who looks before it parks must not pass each other, whatever the isolation of the one
 * and the other. Both write one row, and what they do next is a statement of its own: READ COMMITTED has waited for the row and then looks
 * afresh, and a transaction whose snapshot is older than the row's last version is refused (40001) and runs again. A lock of
 * PostgreSQL's would let that one go on with what it saw before it waited.
 */
async function hold(tx: Transaction, channel: string): Promise<void> {
  // The advisory lock is what versions without the table (before migration 009) hold: when none of them can run beside this one any more,
  // it goes. Behind the row, so that those that share a bucket never wait for each other here. As a text: Prisma reads no "void".
  await tx.sql`
    insert into banyan_saga_channels (bucket, turns) values (hashtext(${channel}) & ${BUCKETS - 1}, 1)
    on conflict (bucket) do update set turns = banyan_saga_channels.turns + 1
    returning pg_advisory_xact_lock(${LOCKS}::integer, hashtext(${channel}))::text as held`
}
