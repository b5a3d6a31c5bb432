import pg from 'pg'
import { bodySql, KEYS, type RelaySubject } from './subject.ts'

const BATCH = 1_000

/** A yardstick, not a product: one loop that deletes a batch with SKIP LOCKED, hands it on and commits. No lease, no parking, one reader. */
export async function openBare(url: string): Promise<RelaySubject> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('create table outbox (id bigserial primary key, key text not null, body text not null)')
  let stopped = false
  let loop: Promise<void> = Promise.resolve()

  async function drain(sink: (count: number) => void): Promise<void> {
    while (!stopped) {
      await client.query('begin')
      const { rows } = await client.query<{ batch: string | null }>({
        name: 'take',
        text: `with gone as (delete from outbox where id in (select id from outbox order by id limit ${BATCH} for update skip locked) returning id, key, body)
          select json_agg(json_build_array(id, key, body) order by id) as batch from gone`,
        types: { getTypeParser: () => (text: string) => text },
      })
      const batch: unknown[] = JSON.parse(rows[0]?.batch ?? '[]')
      await client.query('commit')
      if (batch.length === 0) return
      sink(batch.length)
    }
  }

  return {
    async fill(messages) {
      await client.query(
        `insert into outbox (key, body) select 'order-' || (n % ${KEYS}), ${bodySql('n')}::text from generate_series(1, ${messages}) n`,
      )
      await client.query('vacuum analyze outbox')
    },
    async start(sink) {
      loop = drain(sink)
    },
    async stop() {
      stopped = true
      await loop
      await client.end()
    },
  }
}
