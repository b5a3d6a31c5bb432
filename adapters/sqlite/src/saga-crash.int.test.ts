import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sleep, systemWorld } from '@banyan/core'
import { sagas, startSaga } from '@banyan/saga'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Agency, agency } from './test/travel-agency.ts'

const TRIPS = 200
const KILLS = 9

let folder: string
let office: Agency
const children = new Set<ChildProcess>()

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-saga-crash-'))
  office = await agency(folder)
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  await office.close()
  rmSync(folder, { recursive: true, force: true })
})

function worker(workerId: string): ChildProcess {
  const program = new URL('./test/travel-agency.ts', import.meta.url)
  const child = fork(program, [folder, workerId], { execArgv: ['--conditions=@banyan/source'] })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** As `kill -9`, after so many effects: in the middle of many sagas. */
async function killAfter(child: ChildProcess, effects: number): Promise<void> {
  for (let seen = 0; seen < effects; seen += 1) await once(child, 'message')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

async function untilAllEnded(timeoutMs: number): Promise<number> {
  const admin = sagas(office.own)
  for (let waited = 0; waited < timeoutMs; waited += 50) {
    const [open] = await admin.list({ finished: false, limit: 1 })
    if (!open) return waited
    await sleep(systemWorld, 50)
  }
  throw new Error(`wanted all sagas ended within ${timeoutMs} ms; open: ${JSON.stringify(await admin.list({ finished: false }))}`)
}

interface Effect {
  trip: number
  what: string
}

async function effectsByTrip(): Promise<Map<number, string[]>> {
  const byTrip = new Map<number, string[]>()
  for (const database of [office.own, office.partner]) {
    for (const { trip, what } of await database.read((tx) => tx.sql<Effect>`select trip, what from effects order by id`))
      byTrip.set(trip, [...(byTrip.get(trip) ?? []), what])
  }
  return byTrip
}

it(`kill -9 of workers in the middle of ${TRIPS} sagas: nothing is lost, nothing happens twice`, { timeout: 120_000 }, async () => {
  for (let n = 0; n < TRIPS; n += 1) await office.own.transaction((tx) => startSaga(tx, office.booking, { n }))
  // Two workers; the one with the work is killed. Now it comes back under its name, now the other takes its sagas over.
  for (let kill = 0; kill < KILLS; kill += 1) await killAfter(worker(kill % 3 === 2 ? 'b' : 'a'), 5 + kill * 3)
  const [rival, last] = [worker('b'), worker('a')]
  await Promise.race([once(rival, 'message'), once(last, 'message')])
  await untilAllEnded(60_000)

  const all = [...(await sagas(office.own).list({ limit: 1_000 }))]
  const effects = await effectsByTrip()
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
})

it('another worker takes over within the lease and 2 s', { timeout: 60_000 }, async () => {
  for (let n = 0; n < 60; n += 1) await office.own.transaction((tx) => startSaga(tx, office.booking, { n: n * 4 }))
  const heir = worker('heir')
  const first = worker('a')
  await Promise.race([once(first, 'message'), once(heir, 'message')])
  first.kill('SIGKILL')
  heir.kill('SIGKILL')
  await Promise.all([first, heir].map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')))
  const killed = performance.now()
  await once(worker('stranger'), 'message')
  const tookMs = performance.now() - killed
  // The time that a process takes to start is in it.
  expect(tookMs).toBeLessThan(600 + 2_000)
  await untilAllEnded(20_000)
})
