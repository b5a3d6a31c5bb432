import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { openGraphile } from '../queues.ts'
import { bodySql, type RelaySubject } from './subject.ts'

/** As its page on performance has it: 24 jobs at once on 25 connections. */
const SIZE = { concurrentJobs: 24, maxPoolSize: 25 }
/** From the same page. */
const BATCHING = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
const FILL = 100_000

/** One job a message, without queue names: those would keep order within a key, and cost more. */
export function openGraphileWorker(batched: boolean): (url: string) => Promise<RelaySubject> {
  return async (url) => {
    const { run, logger } = await openGraphile(url)
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    let runner: { stop(): Promise<void> } | undefined
    return {
      async fill(messages) {
        for (let from = 1; from <= messages; from += FILL) {
          await client.query(`select count(*) from graphile_worker.add_jobs(array(
            select row('relay', ${bodySql('n')}, null, null, null, null, null, null)::graphile_worker.job_spec
            from generate_series(${from}, ${Math.min(messages, from + FILL - 1)}) n))`)
        }
        await client.query('vacuum analyze graphile_worker._private_jobs')
      },
      async start(sink) {
        const preset = { worker: { connectionString: url, ...SIZE, logger, ...(batched ? BATCHING : {}) } }
        runner = await run({ preset, taskList: { relay: async () => sink(1) }, noHandleSignals: true })
      },
      async settled() {
        // The handler is called before the job is marked: with batching, some time before.
        while ((await client.query('select from graphile_worker._private_jobs limit 1')).rowCount !== 0) await pause(2)
      },
      async stop() {
        await runner?.stop()
        await client.end()
      },
    }
  }
}
