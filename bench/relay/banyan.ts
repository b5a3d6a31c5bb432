import type { Bus, Component } from '@banyan/core'
import { publish, relay } from '@banyan/messaging'
import { postgres } from '@banyan/postgres'
import pg from 'pg'
import { contextOf, troubleLog } from '../component.ts'
import { NOTE, orderPlaced } from '../events.ts'
import { KEYS, type RelaySubject } from './subject.ts'

/** Rows made by one statement of the filling. */
const FILL = 500_000

/** The relay as it comes: leases, order within a key, parking and cleaning included. */
export async function openBanyan(url: string): Promise<RelaySubject> {
  const database = postgres(url, { name: 'bench', log: troubleLog })
  let running: Component | undefined
  return {
    async fill(messages) {
      await database.transaction(async (tx) => {
        for (let n = 0; n < KEYS; n += 1) await publish(tx, orderPlaced, { orderId: `order-${n}`, n, note: NOTE })
      })
      await copy(url, messages - KEYS)
    },
    async start(sink) {
      running = relay()
      await running.start(contextOf('bench', { database, bus: busInto(sink) }))
    },
    async stop() {
      await running?.stop()
      await database.close()
    },
  }
}

/** Makes copies of what was published, in turn, so that every key has its share and stands all over the backlog. */
async function copy(url: string, messages: number): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('create table sample as select part, body from banyan_outbox')
  for (let done = 0; done < messages; done += FILL) {
    const count = Math.min(FILL, messages - done)
    await client.query(
      `insert into banyan_outbox (position, part, body)
        select nextval('banyan_outbox_position'), part, body from generate_series(1, $1::int), sample`,
      [count / KEYS],
    )
  }
  await client.query('drop table sample')
  await client.query('vacuum analyze banyan_outbox')
  await client.end()
}

function busInto(sink: (count: number) => void): Bus {
  return {
    features: { ordering: 'key', redelivery: true, replay: true },
    publish: async (batch) => sink(batch.length),
    subscribe: () => Promise.reject(new Error('the sink of this benchmark gives nothing back')),
    close: async () => {},
  }
}
