import type { SagaSignal, SagaSignals } from '@banyan/saga/internal'
import type { PostgresDatabase } from './postgres-database.ts'
import { storable } from './storable.ts'

/** What sagas wait for. */
export function postgresSagaSignals({ world }: PostgresDatabase): SagaSignals {
  return { world, send, take, forget }
}

/**
 * Who sends and who looks before it parks must not pass each other, whatever the isolation of the one and the other: both hold the channel
 * until the end of their transactions. Both write one row, and what they do next is a statement of its own: READ COMMITTED has waited for
 * the row and then looks afresh, and a transaction whose snapshot is older than the row's last version is refused (40001) and runs again.
 * A lock of PostgreSQL's would let that one go on with what it saw before it waited.
 */
const send: SagaSignals['send'] = async (tx, { id, channel, body, at }) => {
  const [answer] = await tx.sql<{ sent: boolean }>`select banyan_saga_send(${storable(id)}, ${storable(channel)}, ${body}, ${at}) as sent`
  return answer?.sent === true
}

const take: SagaSignals['take'] = async (tx, channel, saga) => {
  const [signal] = await tx.sql<SagaSignal>`select id, channel, body, sent_at as at from banyan_saga_take(${storable(channel)}, ${saga})`
  return signal
}

const forget: SagaSignals['forget'] = async (tx, before, limit) => {
  const gone = await tx.sql`
    delete from banyan_saga_signals where position = any(array(
      select position from banyan_saga_signals where sent_at < ${before} order by sent_at limit ${limit} for update skip locked))
    returning 1`
  return gone.length
}
