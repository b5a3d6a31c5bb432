// What sagas must survive on every database: `kill -9` of the processes that run them, and the effects still exactly once.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { sleep, systemWorld } from '@banyan/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sagas, signal, startSaga } from '../index.ts'
import { INSIDE, wordGiven } from './tour.ts'
import { type Agency, type AgencySite, agency } from './travel-agency.ts'

export interface CrashSuiteOptions {
  /** The URL of a module with `open(place: string): Database`. */
  readonly module: string
  /** Makes a place for one empty database, which the module opens. */
  readonly create: () => Promise<{ readonly place: string; remove(): Promise<void> }>
}

const TRIPS = 200
const TOURS = 90
const KILLS = 9

export function sagaCrashSuite(name: string, { module, create }: CrashSuiteOptions): void {
  let removes: (() => Promise<void>)[]
  let site: AgencySite
  let office: Agency
  const children = new Set<ChildProcess>()

  beforeEach(async () => {
    const [own, partner] = await Promise.all([create(), create()])
    removes = [own.remove, partner.remove]
    site = { module, own: own.place, partner: partner.place }
    office = await agency(site)
  })
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL')
    await office.close()
    await Promise.all(removes.map((remove) => remove()))
  })

  function worker(workerId: string): ChildProcess {
    const program = new URL('./travel-agency.ts', import.meta.url)
    const child = fork(program, [site.module, site.own, site.partner, workerId], { execArgv: ['--conditions=@banyan/source'] })
    children.add(child)
    child.once('exit', () => children.delete(child))
    return child
  }

  describe(`${name}: sagas under kill -9`, () => {
    it(`${KILLS} kills of workers in the middle of ${TRIPS} sagas: nothing is lost, nothing happens twice`, {
      timeout: 120_000,
    }, async () => {
      for (let n = 0; n < TRIPS; n += 1) await office.own.transaction((tx) => startSaga(tx, office.booking, { n }))
      // Two workers; the one with the work is killed. Now it comes back under its name, now the other takes its sagas over.
      for (let kill = 0; kill < KILLS; kill += 1) await killAfter(worker(kill % 3 === 2 ? 'b' : 'a'), 5 + kill * 3)
      const [rival, last] = [worker('b'), worker('a')]
      await effectOf(rival, last)
      await untilAllEnded(office, 60_000)
      await checkTrips(office)
    })

    it('sagas of all constructs, with words and cancellations in between: everything is there or taken back', {
      timeout: 180_000,
    }, async () => {
      const tours = Array.from({ length: TOURS }, (_, n) => n)
      for (const n of tours) await startSaga(office.own, office.tour, { n })
      for (let kill = 0; kill < KILLS; kill += 1) {
        const child = worker(kill % 3 === 2 ? 'b' : 'a')
        await effectOf(child)
        const killed = killAfter(child, 15 + kill * 3)
        await Promise.all(tours.filter((n) => n % KILLS === kill).map((n) => decideAbout(office, n)))
        await killed
      }
      const [rival, last] = [worker('b'), worker('a')]
      await effectOf(rival, last)
      await untilAllEnded(office, 120_000)
      await checkTours(office)
    })

    it('another worker takes over soon after the lease is over', { timeout: 60_000 }, async () => {
      for (let n = 0; n < 60; n += 1) await office.own.transaction((tx) => startSaga(tx, office.booking, { n: n * 4 }))
      const heir = worker('heir')
      const first = worker('a')
      await effectOf(first, heir)
      first.kill('SIGKILL')
      heir.kill('SIGKILL')
      await Promise.all([first, heir].map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')))
      const killed = performance.now()
      await effectOf(worker('stranger'))
      const tookMs = performance.now() - killed
      // A lease of 600 ms, and the time that a process takes to start, which on a busy machine is most of it. Nothing else is to be waited for.
      expect(tookMs).toBeLessThan(15_000)
      await untilAllEnded(office, 60_000)
    })
  })
}

/** Most customers give their word, some want out, wherever their tour is. */
async function decideAbout({ own, tour }: Agency, n: number): Promise<void> {
  if (n % 7 !== 3) return own.transaction((tx) => signal(tx, tour, wordGiven, { n }))
  const admin = sagas(own)
  const [found] = await admin.list({ name: 'tour', key: `tour ${n}` })
  if (found) await admin.cancel(found.id, { by: 'customer', reason: 'wants out' })
}

async function checkTours(office: Agency): Promise<void> {
  const all = await sagas(office.own).list({ limit: 1_000 })
  const effects = await effectsByTrip(office)
  expect(all.filter(({ name }) => name === 'tour')).toHaveLength(TOURS)
  for (const { name, key, status } of all) {
    const n = Number(key.split(' ')[1])
    const list = effects.get(n) ?? []
    expect(new Set(list).size, `twice: ${list.join(', ')}`).toBe(list.length)
    if (name !== 'tour') continue
    const seats = ['seat 0', 'seat 1'].slice(0, n % 3)
    if (status === 'completed')
      expect(list.toSorted(), key).toEqual(
        [...(n % 2 === 0 ? ['meal'] : []), ...seats, 'bus', 'guide', 'tour confirmed', 'tour mail'].toSorted(),
      )
    else
      for (const what of ['guide', 'bus', 'meal', ...seats])
        expect(list.includes(what), `${key}: ${list.join(', ')}`).toBe(list.includes(`${what} cancelled`))
    const inside = effects.get(INSIDE + n) ?? []
    if (status === 'completed') expect(inside, key).toContain('mail')
    else if (!list.includes('inside cancelled')) expect(inside, `${key}: ${inside.join(', ')}`).not.toContain('confirmed')
    if (n % 7 === 3 || (INSIDE + n) % 4 === 1) expect(status, key).toBe('compensated')
  }
}

/** Resolves at the next effect of one of them. */
async function effectOf(...workers: readonly ChildProcess[]): Promise<void> {
  const over = new AbortController()
  const gone = (child: ChildProcess) => once(child, 'exit', over).then(() => Promise.reject(new Error('a worker ended by itself')))
  await Promise.race(workers.flatMap((child) => [once(child, 'message', over), gone(child)]))
  over.abort()
}

/** As `kill -9`, after so many effects: in the middle of many sagas. */
async function killAfter(child: ChildProcess, effects: number): Promise<void> {
  for (let seen = 0; seen < effects; seen += 1) await effectOf(child)
  child.kill('SIGKILL')
  await once(child, 'exit')
}

export async function untilAllEnded(office: Agency, timeoutMs: number): Promise<void> {
  const admin = sagas(office.own)
  for (let waited = 0; waited < timeoutMs; waited += 50) {
    const [open] = await admin.list({ finished: false, limit: 1 })
    if (!open) return
    await sleep(systemWorld, 50)
  }
  throw new Error(`wanted all sagas ended within ${timeoutMs} ms; open: ${JSON.stringify(await admin.list({ finished: false }))}`)
}

export async function checkTrips(office: Agency): Promise<void> {
  const all = await sagas(office.own).list({ limit: 1_000 })
  const effects = await effectsByTrip(office)
  const outcomes = { completed: 0, compensated: 0 }
  for (const { key, status } of all) {
    const trip = Number(key.split(' ')[1])
    const list = effects.get(trip) ?? []
    expect(new Set(list).size, `twice: ${list.join(', ')}`).toBe(list.length)
    if (status === 'completed') expect(list.toSorted(), key).toEqual(['confirmed', 'flight', 'hotel', 'mail', 'noted'])
    else {
      expect(list, key).toEqual(expect.arrayContaining(['noted', 'rejected']))
      for (const what of ['hotel', 'flight'])
        expect(list.includes(what), `${key}: ${list.join(', ')}`).toBe(list.includes(`${what} cancelled`))
      expect(list).not.toContain('confirmed')
      expect(list).not.toContain('mail')
    }
    outcomes[status === 'completed' ? 'completed' : 'compensated'] += 1
    if (trip % 4 === 1) expect(status).toBe('compensated')
  }
  expect(all).toHaveLength(TRIPS)
  expect(outcomes.completed).toBeGreaterThan(TRIPS / 2)
}

async function effectsByTrip(office: Agency): Promise<Map<number, string[]>> {
  const byTrip = new Map<number, string[]>()
  for (const database of [office.own, office.partner]) {
    const effects = await database.read((tx) => tx.sql<{ trip: number; what: string }>`select trip, what from effects order by id`)
    for (const { trip, what } of effects) byTrip.set(trip, [...(byTrip.get(trip) ?? []), what])
  }
  return byTrip
}
