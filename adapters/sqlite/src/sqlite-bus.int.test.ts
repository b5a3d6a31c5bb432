import { DatabaseSync } from 'node:sqlite'
import { type Bus, type Envelope, silentLogger } from '@banyan/core'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { joinGroup, leaveGroup, savePositions } from './bus-groups.ts'
import { pruneEvents } from './bus-log.ts'
import { openDatabase } from './database.ts'
import { type SqliteBusOptions, sqliteBus } from './index.ts'
import { busMigrations } from './migrations/bus.ts'
import { createSite } from './test/site.ts'

let site: Awaited<ReturnType<typeof createSite>>
let opened: Bus[] = []

beforeEach(async () => {
  site = await createSite()
})
afterEach(async () => {
  await Promise.all(opened.map((bus) => bus.close()))
  opened = []
  await site.remove()
})

function open(options: SqliteBusOptions & { file?: string } = {}): Bus {
  const { file = site.place, ...rest } = options
  const bus = sqliteBus(file, { log: silentLogger, ...rest })
  opened.push(bus)
  return bus
}

function tick(n: number, type = 'tick'): Envelope<number> {
  const id = `${type}-${n}`
  return {
    specversion: '1.0',
    id,
    source: 's',
    type,
    subject: 'k',
    time: '2026-01-01T00:00:00Z',
    datacontenttype: 'application/json',
    dataschema: `${type}/1`,
    data: n,
  }
}

async function listen(bus: Bus, group: string, types: string[]): Promise<{ seen: unknown[]; stop: () => Promise<void> }> {
  const seen: unknown[] = []
  const handle = async (batch: readonly { envelope: Envelope | undefined }[]) =>
    void seen.push(...batch.map(({ envelope }) => envelope?.id))
  const { stop } = await bus.subscribe({ group, types, handle })
  return { seen, stop }
}

describe('sqliteBus()', () => {
  it('works in memory', async () => {
    const bus = open({ file: ':memory:' })
    const { seen } = await listen(bus, 'g', ['tick'])
    await bus.publish([tick(1)])
    await vi.waitFor(() => expect(seen).toEqual(['tick-1']))
  })

  it('refuses a member of a group that wants other types than the living ones', async () => {
    const bus = open({ leaseMs: 100 })
    const { stop } = await listen(bus, 'g', ['tick'])
    const other = listen(bus, 'g', ['tock'])
    await expect(other).rejects.toMatchObject({ code: 'ERR_BUS_GROUP_TYPES', message: expect.stringContaining('"g" to tock') })
    await stop()
  })

  it('gives a group that adds a type the history of that type, and nothing twice', async () => {
    const bus = open()
    await bus.publish([tick(1), tick(1, 'tock')])
    const before = await listen(bus, 'g', ['tick'])
    await vi.waitFor(() => expect(before.seen).toEqual(['tick-1']))
    await before.stop()
    const after = await listen(bus, 'g', ['tick', 'tock'])
    await bus.publish([tick(2), tick(2, 'tock')])
    await vi.waitFor(() => expect(after.seen).toHaveLength(3))
    expect(after.seen).toEqual(['tock-1', 'tick-2', 'tock-2'])
  })

  it('saves positions soon, so that a process that dies repeats little', async () => {
    const bus = open({ saveMs: 20 })
    const { seen } = await listen(bus, 'g', ['tick'])
    for (let n = 1; n <= 30; n += 1) await bus.publish([tick(n)])
    await vi.waitFor(() => expect(seen).toHaveLength(30))
    const file = new DatabaseSync(site.place, { readOnly: true })
    const saved = () => file.prepare("select min(positions ->> 'tick') as n from banyan_bus_partitions").get()?.n
    await vi.waitFor(() => expect(saved()).toBe(30))
    file.close()
  })

  it('stops a member whose lease somebody else took, and cannot be moved by it any more', async () => {
    const bus = open({ leaseMs: 200, saveMs: 10 })
    const { seen } = await listen(bus, 'g', ['tick'])
    const thief = new DatabaseSync(site.place, { timeout: 5_000 })
    thief.exec(`insert into banyan_bus_members values ('thief', 'thief', 'g', '["tick"]', ${Date.now() + 50_000})`)
    thief.exec("update banyan_bus_partitions set member = 'thief', epoch = epoch + 1")
    await bus.publish([tick(1)])
    await vi.waitFor(() =>
      expect(thief.prepare("select count(*) as n from banyan_bus_partitions where member = 'thief'").get()?.n).toBe(16),
    )
    await new Promise((resolve) => setTimeout(resolve, 400))
    // The lease was lost unnoticed, so the event may have come once; its position is the thief's to save.
    expect(seen.length).toBeLessThanOrEqual(1)
    expect(thief.prepare("select count(*) as n from banyan_bus_partitions where positions <> '{}'").get()?.n).toBe(0)
    const before = seen.length
    await bus.publish([tick(2)])
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(seen).toHaveLength(before)
    thief.close()
  })

  it('lets nobody move a position under an old epoch, or after giving the partition back', async () => {
    const database = openDatabase(site.place, {}, { migrations: busMigrations, stores: [] })
    const member = { id: 'm', handle: 'h', group: 'g', types: ['tick'] }
    const save = (epoch: number) =>
      database.transaction((tx) => savePositions(tx, member, [{ partition: 3, epoch, positions: '{"tick":1}' }]))
    const join = () => database.transaction((tx) => joinGroup(tx, member, [], 0, 1_000))
    await join()
    expect(await save(1)).toEqual([3])
    await database.transaction((tx) => leaveGroup(tx, member, []))
    expect(await save(1)).toEqual([])
    await join()
    expect([await save(1), await save(2)]).toEqual([[], [3]])
    await database.close()
  })

  it('prunes what is old and passed by every group, and nothing else', async () => {
    const bus = open({ saveMs: 10 })
    await bus.publish([tick(1), tick(2), tick(3)])
    const fast = await listen(bus, 'fast', ['tick'])
    await vi.waitFor(() => expect(fast.seen).toHaveLength(3))
    await fast.stop()
    const database = openDatabase(site.place, {}, { migrations: busMigrations, stores: [] })
    const prune = (cutoffMs: number) => database.transaction((tx) => pruneEvents(tx, cutoffMs, 1))
    expect(await prune(0)).toBe(0)
    const file = new DatabaseSync(site.place, { timeout: 5_000 })
    file.exec("insert into banyan_bus_partitions values ('slow', 0, null, 1, '{\"tick\": 1}')")
    expect([await prune(9e15), await prune(9e15)]).toEqual([1, 0])
    file.exec("delete from banyan_bus_partitions where group_name = 'slow'")
    // The newest event stays.
    expect([await prune(9e15), await prune(9e15)]).toEqual([1, 0])
    file.close()
    await database.close()
    const late = await listen(bus, 'late', ['tick'])
    await vi.waitFor(() => expect(late.seen).toEqual(['tick-3']))
  })

  it('refuses options out of range and a subscription to nothing', async () => {
    expect(() => sqliteBus(site.place, { leaseMs: 10 })).toThrow('"leaseMs" is 10, wanted a whole number from 100')
    await expect(open().subscribe({ group: 'g', types: [], handle: async () => {} })).rejects.toThrow(TypeError)
  })
})
