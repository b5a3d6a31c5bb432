import pg from 'pg'
import { openBoss } from '../queues.ts'
import { KEYS, type RelaySubject } from './subject.ts'

const QUEUE = 'relay'
/** Of 500, 1,000 and 2,000 by 1, 2 and 4 loops the fastest here. */
const BATCH = 1_000
const LOOPS = 2
const FILL = 10_000

/** `fetch` and `complete` in batches, in loops without a pause; a queue with a table of its own. */
export async function openPgBoss(url: string): Promise<RelaySubject> {
  const boss = await openBoss(url, QUEUE, 10)
  let stopped = false
  let loops: Promise<unknown> = Promise.resolve()

  async function drain(sink: (count: number) => void): Promise<void> {
    while (!stopped) {
      const jobs = await boss.fetch(QUEUE, { batchSize: BATCH })
      if (jobs.length === 0) return
      await boss.complete(
        QUEUE,
        jobs.map(({ id }) => id),
      )
      sink(jobs.length)
    }
  }

  return {
    async fill(messages) {
      for (let from = 1; from <= messages; from += FILL) {
        const count = Math.min(FILL, messages - from + 1)
        await boss.insert(
          QUEUE,
          Array.from({ length: count }, (_, index) => ({ data: envelope(from + index) })),
        )
      }
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query('vacuum analyze')
      await client.end()
    },
    async start(sink) {
      loops = Promise.all(Array.from({ length: LOOPS }, () => drain(sink)))
    },
    async stop() {
      stopped = true
      await loops
      await boss.stop({ graceful: false })
    },
  }
}

/** The same body as the others have by SQL: its jobs are filled in by its own method. */
function envelope(n: number): object {
  const key = `order-${n % KEYS}`
  return {
    specversion: '1.0',
    id: `${n.toString(16).padStart(8, '0')}-0000-7000-8000-000000000000`,
    source: 'bench',
    type: 'order.placed',
    subject: key,
    time: '2026-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    dataschema: 'order.placed/1',
    data: { orderId: key, n, note: '.'.repeat(100) },
    correlationid: key,
  }
}
