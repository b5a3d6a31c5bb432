import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type Component, type ComponentContext, type Database, type Logger, silentLogger, systemWorld } from '@banyan/core'
import { runSagas, type SagaWorkerOptions, saga, sagas, startSaga } from '@banyan/saga'
import { type PostgresServer, startPostgres } from '@banyan/testing'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { checkTrips, untilAllEnded } from '../../../packages/saga/src/test/crash-suite.ts'
import { agency } from '../../../packages/saga/src/test/travel-agency.ts'
import { postgres } from './database.ts'
import { siteModule } from './test/site.ts'

let server: PostgresServer
let url: string
const workers: Component[] = []
const opened: Database[] = []
const children: ChildProcess[] = []

beforeAll(async () => {
  // A server of its own, since it is ended.
  server = await startPostgres()
})
afterAll(() => server.stop())
beforeEach(async () => {
  url = await server.database()
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await Promise.all(workers.splice(0).map((worker) => worker.stop()))
  await Promise.all(opened.splice(0).map((database) => database.close()))
})

function openOne(): Database {
  const database = postgres(url, { log: silentLogger })
  opened.push(database)
  return database
}

/** A service outside: it does each key once, and counts how often it was asked. */
const asked = new Map<string, number>()
const ask = async (key: string) => {
  asked.set(key, (asked.get(key) ?? 0) + 1)
  return { key }
}

const STEPS = ['stock', 'money', 'parcel', 'label'] as const
const order = saga<{ n: number }>('order', { version: 1, key: ({ n }) => `order ${n}` })
  .step('stock', { do: (c) => ask(c.key), undo: async () => {} })
  .step('money', { do: (c) => ask(c.key), undo: async () => {} })
  .step('parcel', { do: (c) => ask(c.key), undo: async () => {} })
  .step('label', { do: (c) => ask(c.key), undo: async () => {} })
  .done((c) => c.label.key)

async function work(database: Database, options: SagaWorkerOptions, log: Logger = silentLogger): Promise<void> {
  const worker = runSagas([order], { leaseMs: 600, pollMs: 50, ...options })
  const context = { service: 'orders', instanceId: systemWorld.uuid(), world: systemWorld, log, bus: undefined, database }
  await worker.start(context satisfies ComponentContext)
  workers.push(worker)
}

/** Each of them completed, each step written once, in order, with its result. */
async function checkOrders(database: Database, ids: readonly string[]): Promise<void> {
  const admin = sagas(database)
  await vi.waitFor(async () => expect(await admin.list({ finished: false, limit: 1 })).toEqual([]), { timeout: 60_000, interval: 100 })
  for (const id of ids) {
    const { status, history, output } = await admin.show(id)
    const done = history.filter(({ outcome }) => outcome === 'done').map(({ step }) => step)
    expect([status, done, output], id).toEqual(['completed', STEPS, `${id}:label`])
    for (const step of STEPS) expect(asked.has(`${id}:${step}`)).toBe(true)
  }
}

const NOT_STORED = 'a saga could not be stored; trying again'

it('a server that crashes in mid-write, again and again: nothing is lost, nothing is written twice', { timeout: 120_000 }, async () => {
  const database = openOne()
  const warned: string[] = []
  await work(database, {}, { ...silentLogger, warn: (_fields, message) => void warned.push(message) })
  const ids = new Map<number, string>()
  let started = 0
  let stopped = false
  async function produce(): Promise<void> {
    while (!stopped) {
      const n = started++
      // An answer that is lost with the server is no reason to start another one: the same key is the same saga.
      await vi.waitFor(async () => void ids.set(n, (await startSaga(database, order, { n })).id), { timeout: 30_000, interval: 50 })
    }
  }
  const producing = Array.from({ length: 32 }, produce)
  // Three times, and on a busy machine until one of them has hit a step that was being stored.
  for (let crash = 1; crash <= 3 || (crash <= 20 && !warned.includes(NOT_STORED)); crash += 1) {
    const before = ids.size
    await vi.waitFor(() => expect(ids.size).toBeGreaterThan(before + 100), { timeout: 30_000, interval: 1 })
    await server.restart({ immediate: true })
  }
  const before = ids.size
  await vi.waitFor(() => expect(ids.size).toBeGreaterThan(before + 100), { timeout: 30_000 })
  stopped = true
  await Promise.all(producing)
  await checkOrders(database, [...ids.values()])
  expect(
    await sagas(database)
      .list({ limit: 1_000 })
      .then(({ length }) => length),
  ).toBe(Math.min(1_000, ids.size))
  expect(warned).toContain(NOT_STORED)
})

it('two workers with one id: the second takes the name, the first takes another, and each saga is run once', {
  timeout: 60_000,
}, async () => {
  const infos: object[] = []
  const log: Logger = { ...silentLogger, info: (fields) => void infos.push(fields), warn: (fields) => void infos.push(fields) }
  const [one, two] = [openOne(), openOne()]
  await work(one, { workerId: 'w' }, log)
  const ids: string[] = []
  for (let n = 0; n < 50; n += 1) ids.push((await startSaga(one, order, { n })).id)
  await work(two, { workerId: 'w' }, log)
  for (let n = 50; n < 100; n += 1) ids.push((await startSaga(n % 2 ? one : two, order, { n })).id)
  await checkOrders(one, ids)
  await vi.waitFor(() => expect(infos).toContainEqual({ worker: 'w/1', epoch: 1 }), { timeout: 10_000 })
  expect(infos).toContainEqual({ worker: 'w/0', epoch: 2 })
})

it('a worker that was paused wakes without its lease and writes nothing', { timeout: 120_000 }, async () => {
  const site = { module: siteModule, own: url, partner: await server.database() }
  const office = await agency(site)
  opened.push(office.own, office.partner)
  const start = (workerId: string) => {
    const program = new URL('../../../packages/saga/src/test/travel-agency.ts', import.meta.url)
    const child = fork(program, [site.module, site.own, site.partner, workerId], { execArgv: ['--conditions=@banyan/source'] })
    children.push(child)
    return child
  }
  for (let n = 0; n < 200; n += 1) await startSaga(office.own, office.booking, { n })
  const sleeper = start('sleeper')
  for (let seen = 0; seen < 20; seen += 1) await once(sleeper, 'message')
  sleeper.kill('SIGSTOP')
  // What it holds in the database while it sleeps, the server takes back; the rest the rival takes over.
  start('rival')
  await untilAllEnded(office, 60_000)
  const revisions = () => office.own.read((tx) => tx.sql`select id, revision, history from banyan_sagas order by id`)
  const before = await revisions()
  expect(before).toHaveLength(200)
  sleeper.kill('SIGCONT')
  // It has come to, been refused, and taken a new life.
  const lives = () => office.own.read((tx) => tx.sql`select epoch from banyan_saga_workers where id = 'sleeper/0' and expires_at > 0`)
  await vi.waitFor(async () => expect(await lives()).toEqual([{ epoch: 3 }]), { timeout: 15_000, interval: 50 })
  expect(await revisions()).toEqual(before)
  await checkTrips(office)
})
