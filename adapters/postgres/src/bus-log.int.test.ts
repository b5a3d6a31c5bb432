import { type Bus, encodeEnvelope, silentLogger } from '@banyan/core'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type PostgresBusOptions, postgresBus } from './bus.ts'
import { BUS_LOG, readEvents } from './bus-log.ts'
import { openDatabase } from './database.ts'
import { fenceWatch } from './fence-watch.ts'
import { busMigrations } from './migrations/bus.ts'
import { counted, countOf, range } from './test/counted.ts'

let place: TestDatabase
let bus: Bus
let client: pg.Client

const open = (options: PostgresBusOptions = {}) => postgresBus(place.url, { log: silentLogger, idlePollMs: 20, ...options })

beforeEach(async () => {
  place = await testPostgres()
  bus = open()
  // Its tables are made with the first use.
  await (await bus.subscribe({ group: 'first', types: ['nothing'], handle: async () => {} })).stop()
  client = new pg.Client({ connectionString: place.url })
  await client.connect()
})
afterEach(async () => {
  await client.end()
  await bus.close()
  await place.drop()
})

/** As slow writers do it: the position is drawn, the commit comes when they like. */
async function appendSlowly(n: number): Promise<void> {
  await client.query('begin')
  await client.query(
    `with fence as materialized (select pg_advisory_xact_lock_shared(1869968482, 'banyan_bus_position'::regclass::oid::int))
     insert into banyan_bus_events (position, type, partition, stored_at, raw)
     select nextval('banyan_bus_position'), 'counted', 0, 0, $1 from fence`,
    [encodeEnvelope(counted(n))],
  )
}

async function follow(group: string): Promise<number[]> {
  const got: number[] = []
  await bus.subscribe({
    group,
    types: ['counted'],
    handle: async (batch) => void got.push(...batch.map(({ envelope }) => countOf(envelope))),
  })
  return got
}

describe('a group that joins', () => {
  it('gets what was being appended at that moment, though later events are there before it', async () => {
    await appendSlowly(1)
    await bus.publish([counted(2)])
    const got = await follow('new')
    await client.query('commit')
    await bus.publish([counted(3)])
    await vi.waitFor(() => expect(got).toEqual([1, 2, 3]), 10_000)
  })

  it('with others again gets it too, when all before it is pruned', async () => {
    // It has come to 2 and stopped there; what it handled is gone.
    const before = await follow('old')
    await bus.publish([counted(1), counted(2)])
    await vi.waitFor(() => expect(before).toEqual([1, 2]), 10_000)
    await bus.close()
    bus = open()
    await appendSlowly(3)
    await bus.publish([counted(4)])
    const other = new pg.Client({ connectionString: place.url })
    await other.connect()
    await other.query('delete from banyan_bus_events where position <= 2')
    await other.end()
    const got = await follow('old')
    await client.query('commit')
    await vi.waitFor(() => expect(got).toEqual([3, 4]), 10_000)
  })
})

it('large events are read in parts, none of them left out', async () => {
  await bus.publish(range(1, 6).map((n) => ({ ...counted(n), data: 'x'.repeat(n === 3 ? 900 : 10) })))
  const database = openDatabase(place.url, { log: silentLogger }, { migrations: busMigrations, stores: [] })
  try {
    const fence = fenceWatch(database, BUS_LOG)
    const slices: { positions: number[]; upTo: number; atEnd: boolean }[] = []
    for (let after = 0; !slices.at(-1)?.atEnd; after = slices.at(-1)?.upTo ?? 0) {
      const asked = { after, types: ['counted'], partitions: range(0, 15), limit: 100 }
      const { events, upTo, atEnd } = await readEvents(database, fence, asked, 500)
      slices.push({ positions: events.map(({ position }) => position), upTo, atEnd })
    }
    // A small one takes about 190 bytes.
    expect(slices).toEqual([
      { positions: [1, 2, 3], upTo: 3, atEnd: false },
      { positions: [4, 5, 6], upTo: 6, atEnd: true },
    ])
  } finally {
    await database.close()
  }
})

describe('a server that lacks the last commits, as after a failover', () => {
  const positionsOf = async () => (await client.query('select group_name, partition, positions from banyan_bus_partitions')).rows
  const highest = async () => Math.max(...(await positionsOf()).flatMap(({ positions }) => Object.values<number>(positions)))

  /** The server as it was when there were ten events, for all who are connected: they hear of it as their connections break. */
  async function failOver(positions: Awaited<ReturnType<typeof positionsOf>>): Promise<void> {
    await client.query('begin')
    await client.query('delete from banyan_bus_events where position > 10')
    for (const row of positions) {
      const values = [row.group_name, row.partition, row.positions]
      await client.query('update banyan_bus_partitions set positions = $3 where group_name = $1 and partition = $2', values)
    }
    await client.query(`select setval('banyan_bus_position', 10)`)
    await client.query('commit')
    const { rows: cut } = await client.query(
      `select pid, pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    // Readers have looked at it since, by connections that are new.
    await vi.waitFor(async () => {
      const { rows } = await client.query(
        `select pid, state = 'idle' and query like '%pg_locks%' as looked from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()`,
      )
      const old = new Set(cut.map(({ pid }) => pid))
      expect(rows.filter(({ pid }) => old.has(pid))).toEqual([])
      expect(rows.filter(({ looked }) => looked)).not.toEqual([])
    }, 10_000)
  }

  it('keeps no event of its own from a reader that was further already', async () => {
    const got = await follow('g')
    await bus.publish(range(1, 10).map(counted))
    await vi.waitFor(async () => expect(await highest()).toBe(10), 10_000)
    const positions = await positionsOf()
    await bus.publish(range(11, 30).map(counted))
    await vi.waitFor(async () => expect(await highest()).toBe(30), 10_000)
    await failOver(positions)
    // Of its own: the connections of the other one may not have noticed yet.
    const publisher = open()
    await publisher.publish(range(101, 125).map(counted))
    await publisher.close()
    await vi.waitFor(() => expect(got.filter((n) => n > 100)).toEqual(range(101, 125)), 10_000)
    await vi.waitFor(async () => expect(await highest()).toBe(35), 10_000)
  })

  it('takes no position from before, though a reader has it in hand when it comes', async () => {
    let arrived = () => {}
    let goOn = () => {}
    const inHand = new Promise<void>((resolve) => (arrived = resolve))
    const held = new Promise<void>((resolve) => (goOn = resolve))
    const got: number[] = []
    await bus.subscribe({
      group: 'g',
      types: ['counted'],
      async handle(batch) {
        const numbers = batch.map(({ envelope }) => countOf(envelope))
        got.push(...numbers)
        if (!numbers.includes(30)) return
        arrived()
        await held
      },
    })
    await bus.publish(range(1, 10).map(counted))
    await vi.waitFor(async () => expect(await highest()).toBe(10), 10_000)
    const positions = await positionsOf()
    await bus.publish(range(11, 30).map(counted))
    await inHand
    await failOver(positions)
    goOn()
    // It stops and saves what it has come to, under an epoch that still holds.
    await bus.close()
    expect(await highest()).toBe(10)
    bus = open()
    const rest = await follow('g')
    await bus.publish(range(101, 125).map(counted))
    await vi.waitFor(() => expect(rest).toEqual(range(101, 125)), 10_000)
  })
})
