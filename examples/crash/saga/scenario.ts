import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from '@banyan/core'
import { eventChannel, readResults, type SagaRecord, sagaArchivePort, sagaSignalsPort } from '@banyan/saga/internal'
import { checkSagaEffects, type SagaEffect } from '@banyan/testing/crash'
import { closingFile } from '../role.ts'
import type { Scenario, Verdict } from '../scenario.ts'
import { CLOSED, effectTables, hasWord, refusedAt, STEPS, wordGiven } from './order.ts'

const COMMIT = ['before-commit', 'after-commit']
const WORKER = ['before-call', 'after-call', 'before-advance', 'after-advance', ...COMMIT]
const PARTICIPANT = ['after-effect', ...COMMIT]
/** Longer than a worker's lease, and than a call may take. */
const PAUSE = { min: 1_000, max: 1_400 }
/** More than a trial ever has. */
const ALL = 100_000

const program = (name: string) => join(import.meta.dirname, `${name}.ts`)

/** An orchestrator with a rival, and two participants: each order is completed or compensated, and nothing else is left. */
export const saga: Scenario = {
  name: 'saga',
  programs: {
    orchestrator: program('orchestrator'),
    rival: program('rival'),
    stock: program('participant'),
    money: program('participant'),
  },
  victims: [
    { role: 'orchestrator', points: WORKER, pauseMs: PAUSE },
    { role: 'rival', points: WORKER, pauseMs: PAUSE },
    { role: 'stock', points: PARTICIPANT, pauseMs: PAUSE },
    { role: 'money', points: PARTICIPANT, pauseMs: PAUSE },
  ],
  onBus: [],
  wanted: ['orders', 'stock', 'money'].map((service) => ({ service, migrations: effectTables })),
  bus: undefined,
  breaks: ['tombstone', 'fence'],
  watch({ seed, folder, databases: { orders, stock, money } }) {
    if (!orders || !stock || !money) throw new RangeError('cannot watch: the trial wants the databases "orders", "stock" and "money"')
    return {
      close: async () => writeFileSync(closingFile(folder), ''),
      isDone: () => isDone(orders),
      progress: () => progress(orders, [orders, stock, money]),
      check: () => check(seed, orders, { orders, stock, money }),
    }
  },
}

/** No order comes any more, and each saga has ended. */
async function isDone(orders: Database): Promise<boolean> {
  return orders.read(async (tx) => {
    const [closed] = await tx.sql`select 1 as one from placed where order_id = ${CLOSED}`
    if (!closed) return false
    return (await orders.store(sagaArchivePort).list(tx, { finished: false }, 1)).length === 0
  })
}

async function progress(orders: Database, all: readonly Database[]): Promise<string> {
  const open = await orders.read((tx) => orders.store(sagaArchivePort).list(tx, { finished: false }, ALL))
  const effects = await Promise.all(
    all.map((database) => database.read((tx) => tx.sql<{ count: number }>`select count(*) as count from effects`)),
  )
  return `${open.length} sagas under way, effects ${effects.map(([row]) => row?.count).join(', ')}`
}

async function check(seed: number, orders: Database, all: Readonly<Record<string, Database>>): Promise<Verdict> {
  const placed = await orders.read(
    (tx) => tx.sql<{ order_id: string; saga: string }>`select order_id, saga from placed where order_id <> ${CLOSED}`,
  )
  const records = await orders.read((tx) => orders.store(sagaArchivePort).list(tx, {}, ALL))
  const ends = records.map(({ id, key, status }) => ({ saga: id, status, refusedAt: refusedAt(seed, key) }))
  const lists = await Promise.all(Object.entries(all).map(effectsAt))
  const asked = placed.map((order) => order.saga)
  const { lost, twice, inverted, inLimbo, left, orphans } = checkSagaEffects(asked, ends, lists.flat(), STEPS)
  const strangers = ends.filter((end) => !asked.includes(end.saga)).map(({ saga: id }) => `${id} was started, and no order is there`)
  const ended = (status: string) => ends.filter((end) => end.status === status).length
  return {
    faults: {
      lost: [...lost, ...(await lostWords(seed, orders, records))],
      twice,
      inverted,
      'in limbo': inLimbo,
      'not undone': left,
      orphans: [...orphans, ...strangers],
    },
    counts: {
      sagas: ends.length,
      completed: ended('completed'),
      compensated: ended('compensated'),
      takeovers: records.reduce((sum, { claims }) => sum + Math.max(0, claims - 1), 0),
    },
  }
}

async function effectsAt([at, database]: [string, Database]): Promise<SagaEffect[]> {
  const effects = await database.read((tx) => tx.sql<SagaEffect>`select saga, step, kind from effects order by position`)
  return effects.map((effect) => ({ ...effect, at }))
}

/** A word that was given has come to its saga, or is still there for it: one may come when its time is over. */
async function lostWords(seed: number, orders: Database, records: readonly SagaRecord[]): Promise<string[]> {
  const silent = records.filter(({ key, results }) => hasWord(seed, key) && !('word' in readResults(results)))
  return orders.transaction(async (tx) => {
    const [closed] = await tx.sql`select 1 as one from placed where order_id = ${CLOSED}`
    const lost: string[] = []
    // Before that some are not given yet.
    for (const { id, name, key } of closed ? silent : [])
      if (!(await tx.store(sagaSignalsPort).take(tx, eventChannel(name, wordGiven.name, key), id))) lost.push(`${id} word was given`)
    return lost
  })
}
