import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Database, systemWorld, type World } from '@banyan/core'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type KeptLog, keptLog, type Town, town } from '../../../packages/testing/src/test/town.ts'
import { sqlite, sqliteBus } from './index.ts'
import { createSmallSite } from './test/site.ts'

// What happens to a whole system of messages and sagas when something under it fails.

const HOUR = 3_600_000
const closing: (() => Promise<void>)[] = []
let folder: string
let log: KeptLog

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-faults-'))
  log = keptLog()
})
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
  rmSync(folder, { recursive: true, force: true })
})

function open(name: string, world?: World): Database {
  const database = sqlite(join(folder, `${name}.db`), { name, log, ...(world && { world }) })
  closing.push(() => database.close())
  return database
}

async function build(options: { shop?: Database; bank?: Database; world?: World; isSick?: () => boolean }): Promise<Town> {
  const { world, isSick } = options
  const bus = sqliteBus(join(folder, 'bus.db'), { leaseMs: 500, log, ...(world && { world }) })
  closing.push(() => bus.close())
  const built = await town({
    shop: options.shop ?? open('shop', world),
    bank: options.bank ?? open('bank', world),
    bus,
    log,
    ...(world && { world }),
    ...(isSick && { isSick }),
  })
  closing.push(() => built.stop())
  return built
}

async function smallDisk(): Promise<{ database: Database; makeRoom: () => Promise<void> }> {
  const site = await createSmallSite()
  const database = site.open()
  closing.push(async () => {
    // Nothing is lost when the log cannot be emptied into the file for want of room; the next opening does it.
    await database.close().catch((error: unknown) => expect(String(error)).toMatch(/full/))
    await site.remove()
  })
  return { database, makeRoom: site.makeRoom }
}

/** Leaves the files as those leave them who die without a word: with leases that nobody gives back. */
async function afterSuddenDeath(world: World): Promise<void> {
  const living = mkdtempSync(join(tmpdir(), 'banyan-faults-living-'))
  const bus = sqliteBus(join(living, 'bus.db'), { leaseMs: 500, log, world })
  const [shop, bank] = ['shop', 'bank'].map((name) => sqlite(join(living, `${name}.db`), { name, log, world }))
  if (!shop || !bank) throw new Error('two names, two databases')
  const { sell, order, settled, stop } = await town({ shop, bank, bus, log, world })
  await Promise.all([sell('ant'), order('before')])
  await settled()
  // The lease of the outbox lasts for a moment after the last event.
  await sell('ant')
  await settled()
  for (const name of ['shop', 'bank', 'bus']) {
    const file = new DatabaseSync(join(living, `${name}.db`))
    file.exec(`vacuum into '${join(folder, `${name}.db`)}'`)
    file.close()
  }
  await stop()
  await Promise.all([bus.close(), shop.close(), bank.close()])
  rmSync(living, { recursive: true, force: true })
}

/** The system's world, whose wall clock can be set. */
function settableClock(): World & { jump(byMs: number): void } {
  let offset = 0
  return {
    ...systemWorld,
    now: () => systemWorld.now() + offset,
    jump(byMs) {
      offset += byMs
    },
  }
}

const BALLAST = 'x'.repeat(20_000)

describe('a disk that is full', () => {
  it('where events are consumed: they wait, the log says why, and each has its effect once when there is room', async () => {
    const { database, makeRoom } = await smallDisk()
    const { sell, booked, settled } = await build({ bank: database })
    for (let n = 0; n < 22; n += 1) await sell('ant', BALLAST)
    await vi.waitFor(() => expect(log.lines.join('\n')).toMatch(/ERR_COMMIT_FAILED|ERR_DISK_FULL/), 20_000)
    const before = await booked()
    expect(before).toBeLessThan(22)
    await makeRoom()
    await settled()
    expect(await booked()).toBe(22)
  })

  it('where events are published and sagas run: the caller is told, nothing is half done, and all goes on when there is room', async () => {
    const { database, makeRoom } = await smallDisk()
    const { sell, order, settled } = await build({ shop: database })
    const outcomes: PromiseSettledResult<void>[] = []
    for (let n = 0; n < 60; n += 1) outcomes.push(...(await Promise.allSettled([sell('ant', BALLAST), order(`order-${n}`)])))
    const failures = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
    expect(failures.length).toBeGreaterThan(0)
    expect(failures.filter((code) => code !== 'ERR_DISK_FULL' && code !== 'ERR_COMMIT_FAILED')).toEqual([])
    await makeRoom()
    await sell('bee')
    await order('one-more')
    await settled()
  })
})

describe('a clock that is set', () => {
  it.each([
    ['forward', HOUR],
    ['back', -HOUR],
  ])('an hour %s: events and sagas go on, in order and once', async (_, by) => {
    const world = settableClock()
    const { sell, order, settled } = await build({ world })
    for (let n = 0; n < 20; n += 1) {
      await Promise.all([sell('ant'), sell('bee'), order(`before-${n}`)])
    }
    world.jump(by)
    for (let n = 0; n < 20; n += 1) await Promise.all([sell('ant'), sell('bee'), order(`after-${n}`)])
    await settled(8_000)
  })

  it.each([
    ['forward', HOUR],
    ['back', -HOUR],
  ])('an hour %s, when those who held the leases have died with it: others take over all the same', async (_, by) => {
    const world = settableClock()
    await afterSuddenDeath(world)
    world.jump(by)
    const { sell, order, settled } = await build({ world })
    await Promise.all([sell('ant'), order('after')])
    await settled(8_000)
  })
})

describe('a clock that is set while something waits for its next attempt', () => {
  it.each([
    ['forward', HOUR],
    ['back', -HOUR],
  ])('an hour %s: it is not late for that', async (_, by) => {
    const world = settableClock()
    let sick = true
    const { sell, order, settled } = await build({ world, isSick: () => sick })
    await Promise.all([sell('ant'), sell('bee'), order('one')])
    for (const text of ['is parked', 'an attempt of a saga step failed'])
      await vi.waitFor(() => expect(log.lines.join('\n')).toContain(text), 8_000)
    world.jump(by)
    sick = false
    await settled(8_000)
  })
})

describe('a worker that is not sure of its lease at the moment', () => {
  it('keeps a saga that was started for it, and runs it when it is sure again', async () => {
    const { order, settled } = await build({})
    // The lease cannot be renewed while the one writer of the file is taken; the saga is committed when it is in doubt.
    await order('slow', 900)
    await settled(8_000)
  })
})
