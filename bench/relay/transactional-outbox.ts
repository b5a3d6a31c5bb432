import pg from 'pg'
import { OUTBOX, openOutbox } from '../queues.ts'
import { bodySql, KEYS, type RelaySubject } from './subject.ts'

const POOL = 20

/**
 * Its polling listener, segments by key; what its documentation says an outbox can do without is off.
 *
 * @param batch messages it handles at once, each in a transaction of its own
 */
export function openTransactionalOutbox(batch: number): (url: string) => Promise<RelaySubject> {
  return (url) => open(url, batch)
}

async function open(url: string, batch: number): Promise<RelaySubject> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const outbox = await openOutbox(client)
  let shutdown: (() => Promise<void>) | undefined
  return {
    async fill(messages) {
      await client.query(`insert into public.outbox (id, aggregate_type, aggregate_id, message_type, segment, concurrency, payload)
        select gen_random_uuid(), 'order', 'order-' || (n % ${KEYS}), 'order.placed', 'order-' || (n % ${KEYS}), 'sequential', ${bodySql('n')}::jsonb
        from generate_series(1, ${messages}) n`)
      await client.query('vacuum analyze public.outbox')
    },
    async start(sink) {
      const connection = { connectionString: url, max: POOL }
      const settings = {
        ...OUTBOX,
        nextMessagesBatchSize: batch,
        nextMessagesPollingIntervalInMs: 5,
        enablePoisonousMessageProtection: false,
        enableMaxAttemptsProtection: false,
      }
      const config = { outboxOrInbox: 'outbox', dbListenerConfig: connection, dbHandlerConfig: connection, settings }
      ;[shutdown] = outbox.initializePollingMessageListener(config, { handle: async () => sink(1) }, outbox.getDisabledLogger(), {
        // Its own begins with one message at a time, to find poisonous ones.
        batchSizeStrategy: async () => batch,
      })
    },
    async stop() {
      await shutdown?.()
      await client.end()
    },
  }
}
