import { type Database, sleep, systemWorld } from '@banyan/core'
import { runSagas, startSaga } from '@banyan/saga'
import { type SagaStore, sagaStorePort } from '@banyan/saga/internal'
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
  /** Each saga's row says, committed, that it is the new process's. Ours only: others have no such row, or write none. */
  readonly allClaimedMs?: number
  /** A step of each saga has been called in this life. */
  readonly allTakenUpMs: number
  readonly allEndedMs: number
  /** The most memory the process ever had resident, megabytes. */
  readonly peakMb: number
}

/**
 * Ours: how many may be in a step at once. In the first life so many hang in one when it is killed; the rest has been started and stands in line.
 * In the second one two units of the journal are full with so many.
 */
const CONCURRENCY = { first: 10_000, second: 2_000 } as const
const STARTS_AT_ONCE = 64

const task = settingsOfContestant<ResumeTask>()
const watch = watchSteps()
if (task.engine === 'dbos') await runDbos(await importPeer<DbosModule>('@dbos-inc/dbos-sdk'))
else await runBanyan(openDatabase(task.engine, task))

async function runBanyan(database: Database): Promise<void> {
  onSagaEnd(watch.ended)
  const placeOrder = orderSaga(watch.step)
  const worker = runSagas([placeOrder], { concurrency: CONCURRENCY[task.life] })
  await worker.start(contextOf('bench', { database: withClaimsCounted(database, watch.claimed) }))
  if (task.life === 'second') return
  await startAll((key) => startSaga(database, placeOrder, { key }))
  await watch.hanging(Math.min(task.sagas, CONCURRENCY.first))
}

/** Hears of each claim when it is committed. */
function withClaimsCounted(database: Database, heard: (count: number) => void): Database {
  const store = database.store(sagaStorePort)
  const counting: SagaStore = {
    ...store,
    async claim(tx, ...rest) {
      const records = await store.claim(tx, ...rest)
      tx.afterCommit(() => heard(records.length))
      return records
    },
  }
  // What is asked for by the port of sagas is the store of sagas.
  return { ...database, store: (port) => (port === (sagaStorePort as unknown) ? (counting as never) : database.store(port)) }
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
  let claimed = 0
  let firstStepMs: number | undefined
  let allClaimedMs: number | undefined
  let allTakenUpMs: number | undefined
  // The benchmark's patience is over: what it prints then should say how far this got.
  process.prependOnceListener('SIGTERM', () => {
    console.error(`${task.life} life: ${hanging} hang, ${claimed} claimed, ${seen.size} of ${task.sagas} sagas taken up, ${ended} ended`)
    process.exit(1)
  })
  return {
    claimed(count: number) {
      claimed += count
      if (claimed === task.sagas) allClaimedMs ??= performance.now()
    },
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
      const claims = allClaimedMs === undefined ? {} : { allClaimedMs }
      const rest = { allEndedMs: performance.now(), peakMb: process.resourceUsage().maxRSS / 1_024 }
      tell('result', { firstStepMs, ...claims, allTakenUpMs, ...rest } satisfies ResumeResult).finally(() => process.exit(0))
    },
    async hanging(wanted: number) {
      while (hanging < wanted) await sleep(systemWorld, 20)
      await tell('ready', hanging)
    },
  }
}
