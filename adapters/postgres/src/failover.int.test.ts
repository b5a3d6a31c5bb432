import { execFileSync } from 'node:child_process'
import { type Bus, encodeEnvelope, silentLogger, systemWorld } from '@banyan/core'
import { relay } from '@banyan/messaging'
import { type GroupMember, type OutboxLog, outboxLogPort, outboxPort } from '@banyan/messaging/internal'
import { type FaultProxy, faultProxy, type PostgresServer, startPostgres } from '@banyan/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { postgresGroups } from './bus-groups.ts'
import { BUS_LOG, readEvents } from './bus-log.ts'
import { openDatabase } from './database.ts'
import { fenceWatch } from './fence-watch.ts'
import { postgres, postgresBus } from './index.ts'
import { busMigrations } from './migrations/bus.ts'
import { counted, countOf, range } from './test/counted.ts'

let server: PostgresServer
let door: FaultProxy
/** The database, as those know it who do not hear of what happens. */
let direct: string
/** The same, through the door. */
let behindDoor: string
let folder: string

beforeEach(async () => {
  server = await startPostgres()
  direct = await server.database()
  door = await faultProxy({ target: { port: server.port } })
  behindDoor = Object.assign(new URL(direct), { port: String(door.port) }).href
  folder = (await query<{ folder: string }>("select current_setting('data_directory') as folder"))[0]?.folder ?? ''
})
afterEach(async () => {
  await door.stop()
  await server.stop()
})

async function query<Row>(text: string): Promise<Row[]> {
  const client = new pg.Client(direct)
  await client.connect()
  const { rows } = await client.query(text)
  await client.end()
  return rows
}

async function highestOf(sequence: string): Promise<number> {
  const [row] = await query<{ last: string | null }>(`select pg_sequence_last_value('${sequence}') as last`)
  return Number(row?.last)
}

/** Halts the server and keeps what it has stored. */
async function halt(as: string): Promise<void> {
  await server.halt()
  execFileSync('cp', ['-a', folder, `${folder}-${as}`])
}

/** Starts the server with what was kept, in the place of what it has. */
async function startWith(kept: string): Promise<void> {
  execFileSync('rm', ['-rf', folder])
  execFileSync('cp', ['-a', `${folder}-${kept}`, folder])
  await server.start()
}

async function shutDoor(): Promise<void> {
  await door.set({ refuse: true })
  door.cut()
}

/**
 * A server that lacks the last commits takes over, and is further than the old one was before the reader behind the door looks at it.
 * Numbers 11 to 60 are of the old one, 101 to 200 of the new one; more than the 32 by which PostgreSQL notes a sequence ahead.
 */
async function failOver(append: (from: number, to: number) => Promise<void>, reached: (n: number) => Promise<void>): Promise<void> {
  await append(1, 10)
  await reached(10)
  await shutDoor()
  await halt('both')
  await server.start()
  await append(101, 200)
  await halt('new')
  await startWith('both')
  await door.set({})
  await append(11, 60)
  await reached(60)
  await shutDoor()
  await server.halt()
  await startWith('new')
  await door.set({})
}

async function appendRecords(from: number, to: number): Promise<void> {
  const database = postgres(direct, { log: silentLogger })
  const records = range(from, to).map((n) => ({ id: `e${n}`, type: 'counted', key: 'a', body: encodeEnvelope(counted(n)), time: 1 }))
  await database.transaction((tx) => tx.store(outboxPort).append(tx, records))
  await database.close()
}

/** All records have one key. */
async function partitionOfOnly(log: OutboxLog): Promise<number> {
  const read = await Promise.all(range(0, log.partitions - 1).map((partition) => log.read(partition, undefined, 1)))
  return read.findIndex(({ length }) => length > 0)
}

describe('a server that takes over without the last commits, and passes where the old one was before anybody looks', {
  timeout: 90_000,
}, () => {
  it('keeps nothing from a group of the bus that was further', async () => {
    const got: number[] = []
    const bus = postgresBus(behindDoor, { log: silentLogger, idlePollMs: 20, leaseMs: 60_000 })
    await bus.subscribe({
      group: 'g',
      types: ['counted'],
      handle: async (batch) => void got.push(...batch.map(({ envelope }) => countOf(envelope))),
    })
    const append = async (from: number, to: number) => {
      const publisher = postgresBus(direct, { log: silentLogger })
      await publisher.publish(range(from, to).map(counted))
      await publisher.close()
    }
    const saved = async () => {
      const rows = await query<{ positions: Record<string, number> }>('select positions from banyan_bus_partitions')
      return Math.max(...rows.flatMap(({ positions }) => Object.values(positions)))
    }
    await failOver(append, (n) =>
      vi.waitFor(async () => {
        expect(got).toContain(n)
        expect(await saved()).toBe(await highestOf('banyan_bus_position'))
      }, 30_000),
    )
    await vi.waitFor(() => expect(got.filter((n) => n > 100)).toEqual(range(101, 200)), 30_000)
    await bus.close()
  })

  it('keeps nothing from a relay that was further', async () => {
    const sent: number[] = []
    const bus: Bus = {
      features: { ordering: 'key', redelivery: true, replay: true },
      publish: async (batch) => void sent.push(...batch.map(countOf)),
      subscribe: () => Promise.reject(new Error('nobody listens')),
      close: async () => {},
    }
    const database = postgres(behindDoor, { log: silentLogger })
    const mover = relay({ leaseMs: 1_000 })
    await mover.start({ service: 'a', instanceId: 'a-1', world: systemWorld, log: silentLogger, database, bus })
    await failOver(appendRecords, (n) =>
      vi.waitFor(async () => {
        expect(sent).toContain(n)
        const [row] = await query<{ done: string }>('select max(done) as done from banyan_outbox_progress')
        expect(Number(row?.done)).toBe(await highestOf('banyan_outbox_position'))
      }, 30_000),
    )
    await vi.waitFor(() => expect(sent.filter((n) => n > 100)).toEqual(range(101, 200)), 30_000)
    await mover.stop()
    await database.close()
  })
})

describe('a server that was started anew, which may be another', () => {
  it('gives nothing that only a look at the one before calls final, and marks nothing that was read there', async () => {
    const database = postgres(direct, { log: silentLogger })
    await appendRecords(1, 20)
    const log = database.store(outboxLogPort)
    const partition = await partitionOfOnly(log)
    const lease = { kind: 'held', epoch: 1, owner: 'me', expiresAt: systemWorld.now() + 60_000 } as const
    await database.transaction(async (tx) => {
      await log.load(tx, partition)
      await log.saveLease(tx, partition, lease)
    })
    const mark = (setbacks: number | undefined) =>
      database.transaction((tx) => log.advance(tx, partition, { epoch: 1, done: 5, expiresAt: lease.expiresAt, setbacks }))
    const before = log.setbacks?.()
    await server.restart()
    expect(await mark(before)).toBe(false)
    // A full batch, for which nobody has to look.
    expect(await log.read(partition, 0, 10)).toEqual([])
    const after = log.setbacks?.()
    expect(after).not.toBe(before)
    expect(await log.read(partition, 0, 10)).toHaveLength(10)
    expect(await mark(before)).toBe(false)
    expect(await mark(after)).toBe(true)
    await database.close()
  })

  it('does the same for the bus', async () => {
    const bus = postgresBus(direct, { log: silentLogger })
    await bus.publish(range(1, 20).map(counted))
    await bus.close()
    const database = openDatabase(direct, { log: silentLogger }, { migrations: busMigrations, stores: [] })
    const fence = fenceWatch(database, BUS_LOG)
    const groups = postgresGroups(database, fence)
    const member: GroupMember = { id: 'm', handle: 'h', group: 'g', types: ['counted'] }
    const outcome = await groups.join(member, [], 60_000)
    const read = () => readEvents(database, fence, { after: 0, types: ['counted'], partitions: range(0, 15), limit: 10 })
    const save = (setbacks: number | undefined) =>
      groups.save([{ member, unsaved: [{ partition: 3, epoch: 1, positions: '{"counted":10}', setbacks }] }])
    const before = (await read()).setbacks
    expect(outcome).toMatchObject({ setbacks: before })
    await server.restart()
    expect(await save(before)).toEqual([[]])
    const slice = await read()
    expect(slice).toMatchObject({ events: [], upTo: 0, atEnd: false })
    expect(slice.setbacks).not.toBe(before)
    expect((await read()).events).toHaveLength(10)
    expect(await save(before)).toEqual([[]])
    expect(await save(slice.setbacks)).toEqual([[3]])
    await database.close()
  })
})
