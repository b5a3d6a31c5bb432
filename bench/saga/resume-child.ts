import { type Database, sleep, systemWorld } from '@banyan/core'
import { runSagas, startSaga } from '@banyan/saga'
import { contextOf } from '../component.ts'
import { settingsOfContestant, tell } from '../contestant.ts'
import { importPeer } from '../peers.ts'
import { onSagaEnd, openDatabase, orderSaga } from './banyan.ts'
import { type DbosModule, dbosConfig } from './dbos.ts'
import { type SagaSite, STEPS, type StepResult } from './subject.ts'

// Either starts sagas that hang in their second step, and tells when there are enough; or, in a second life, goes on with them.

export interface ResumeTask extends SagaSite {
  readonly engine: 'postgres' | 'sqlite' | 'dbos'
  readonly sagas: number
  readonly life: 'first' | 'second'
}

/** Milliseconds since the process began, Node's own start included. */
export interface ResumeResult {
  readonly firstStepMs: number
  /** Each saga has made a step in this life. */
  readonly allTakenUpMs: number
  readonly allEndedMs: number
}

/** Ours: how many may be in a step at once, in both lives. The rest of the sagas has been started and stands in line. */
const CONCURRENCY = 10_000
const STARTS_AT_ONCE = 64

const task = settingsOfContestant<ResumeTask>()
const watch = watchSteps()
if (task.engine === 'dbos') await runDbos(await importPeer<DbosModule>('@dbos-inc/dbos-sdk'))
else await runBanyan(openDatabase(task.engine, task))

async function runBanyan(database: Database): Promise<void> {
  onSagaEnd(watch.ended)
  const placeOrder = orderSaga(watch.step)
  const worker = runSagas([placeOrder], { concurrency: CONCURRENCY })
  await worker.start(contextOf('bench', { database }))
  if (task.life === 'second') return
  await startAll((key) => startSaga(database, placeOrder, { key }))
  await watch.hanging(Math.min(task.sagas, CONCURRENCY))
}

async function runDbos({ DBOS }: DbosModule): Promise<void> {
  // The version is fixed: otherwise it is made of the program's text.
  DBOS.setConfig({ ...dbosConfig(task.url), applicationVersion: 'bench' })
  const order = DBOS.registerWorkflow(
    async (key: string) => {
      const results: Record<string, StepResult> = {}
      for (const name of STEPS) results[name] = await DBOS.runStep(() => watch.step(name, key), { name })
      watch.ended()
      return results
    },
    { name: 'order' },
  )
  await DBOS.launch()
  if (task.life === 'second') return
  await startAll((key) => DBOS.startWorkflow(order, { workflowID: key })(key))
  await watch.hanging(task.sagas)
}

async function startAll(start: (key: string) => Promise<unknown>): Promise<void> {
  let next = 0
  const loop = async () => {
    while (next < task.sagas) {
      next += 1
      await start(`order-${next}`)
    }
  }
  await Promise.all(Array.from({ length: STARTS_AT_ONCE }, loop))
}

function watchSteps() {
  const seen = new Set<string>()
  let hanging = 0
  let ended = 0
  let firstStepMs: number | undefined
  let allTakenUpMs: number | undefined
  // The benchmark's patience is over: what it prints then should say how far this got.
  process.prependOnceListener('SIGTERM', () => {
    console.error(`${task.life} life: ${hanging} hang, ${seen.size} of ${task.sagas} sagas taken up, ${ended} ended`)
    process.exit(1)
  })
  return {
    async step(name: string, key: string): Promise<StepResult> {
      if (task.life === 'first') {
        if (name === 'stock') return { id: `${name}-${key}` }
        hanging += 1
        return new Promise(() => {})
      }
      firstStepMs ??= performance.now()
      seen.add(key)
      if (seen.size === task.sagas) allTakenUpMs ??= performance.now()
      return { id: `${name}-${key}` }
    },
    ended() {
      ended += 1
      if (ended < task.sagas || firstStepMs === undefined || allTakenUpMs === undefined) return
      tell('result', { firstStepMs, allTakenUpMs, allEndedMs: performance.now() } satisfies ResumeResult).finally(() => process.exit(0))
    },
    async hanging(wanted: number) {
      while (hanging < wanted) await sleep(systemWorld, 20)
      await tell('ready', hanging)
    },
  }
}
