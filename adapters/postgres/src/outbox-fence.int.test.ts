import { type Bus, encodeEnvelope, silentLogger, systemWorld, type Transaction } from '@banyan/core'
import { relay } from '@banyan/messaging'
import { type OutboxEntry, outboxLogPort, outboxPort } from '@banyan/messaging/internal'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type PostgresDatabase, postgres } from './index.ts'
import { postgresOutboxLog } from './outbox.ts'

let place: TestDatabase
let database: PostgresDatabase

beforeEach(async () => {
  place = await testPostgres()
  database = postgres(place.url, { log: silentLogger, maxConnections: 12 })
})
afterEach(async () => {
  await database.close()
  await place.drop()
})

const record = (key: string, n: number) => {
  const id = `${key}-${n}`
  return { id, type: 'seat.taken', key, body: JSON.stringify(['seat.taken/1', id, 'a', key, 1, { data: n }]), time: 1 }
}
const keyOf = ({ body }: OutboxEntry) => JSON.parse(body)[3]
const numberOf = ({ body }: OutboxEntry) => JSON.parse(body)[5].data

const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** All of one key, so that one partition has them. */
function envelopeRecord(n: number) {
  const more = { datacontenttype: 'application/json', dataschema: 'seat.taken/1', data: {} } as const
  const time = '2026-01-01T00:00:00Z'
  const body = encodeEnvelope({ specversion: '1.0', id: `${n}`, source: 'a', type: 'seat.taken', subject: 'a', time, ...more })
  return { ...record('a', n), body }
}

/** What a transaction does within COMMIT, behind its append: it holds its positions for longer than the others. */
const TURNS = `
  create table turns (id text primary key, n integer not null);
  create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(random() * 0.01); return null; end $$;
  create constraint trigger dawdle after update on turns deferrable initially deferred for each row execute function dawdle();
`

/** A commit that waits, behind its last statement, until somebody lets it through. */
const GATE = `
  create table gate (id integer);
  create function wait_at_gate() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(4711); return null; end $$;
  create constraint trigger wait_at_gate after insert on gate deferrable initially deferred for each row execute function wait_at_gate();
`

/** Reads a partition as the relay does, from its own cursor. */
function reader(partition: number) {
  const log = database.store(outboxLogPort)
  const seen: OutboxEntry[] = []
  return {
    seen,
    async round(): Promise<number> {
      const entries = await log.read(partition, seen.at(-1)?.position ?? 0, 100)
      seen.push(...entries)
      return entries.length
    },
  }
}

describe('the outbox of PostgreSQL', () => {
  it('loses and inverts nothing among writers that roll back, backends that are killed and segments that end', async () => {
    await database.migrate([{ id: 'turns', sql: TURNS }])
    const keys = Array.from({ length: 12 }, (_, index) => `key ${index}`)
    await database.transaction(async (tx) => {
      for (const key of keys) await tx.sql`insert into turns values (${key}, 0)`
    })
    const readers = [0, 1, 2, 3].map(reader)
    const killer = new pg.Client({ connectionString: place.url })
    await killer.connect()
    let writing = true
    let kills = 0

    async function write(key: string): Promise<void> {
      for (let turn = 0; turn < 40; turn += 1) {
        await database
          .transaction(async (tx) => {
            const [row] = await tx.sql<{ n: number }>`update turns set n = n + 1 where id = ${key} returning n`
            const records = [record(key, row?.n ?? 0), record(`${key} again`, row?.n ?? 0)]
            // One by itself is stored by another statement than several.
            await tx.store(outboxPort).append(tx, records.slice(0, 1 + (turn % 2)))
            if (turn % 7 === 0) throw new Error('rolled back on purpose')
          })
          // On purpose, or killed: then nothing of it is stored, or all of it.
          .catch(() => undefined)
      }
    }
    async function kill(): Promise<void> {
      while (writing) {
        const { rowCount } = await killer.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle' and (query like '%banyan_outbox_position%' or query = 'commit') limit 1`,
        )
        kills += rowCount ?? 0
        await killer.query('select pg_sleep(0.02)')
      }
    }
    /** As after each million events. */
    async function roll(): Promise<void> {
      while (writing) {
        await database.run(`select setval('banyan_outbox_position', nextval('banyan_outbox_position') + 1048576)`).catch(() => [])
        // One that was killed, or that others kept waiting, comes again.
        await database
          .store(outboxLogPort)
          .tidy()
          .catch(() => undefined)
      }
    }
    async function readAlong(one: ReturnType<typeof reader>): Promise<void> {
      // A reader whose backend was killed reads again.
      while (writing) await one.round().catch(() => 0)
    }

    const others = [kill(), roll(), ...readers.map(readAlong)]
    await Promise.all(keys.map(write))
    writing = false
    await Promise.all(others)
    await killer.end()
    await vi.waitFor(async () => {
      const rest = await Promise.all(readers.map((one) => one.round()))
      expect(rest.reduce((sum, count) => sum + count, 0)).toBe(0)
    })

    const stored = await database.run<{ position: number }>('select position from banyan_outbox order by position')
    const got = readers.flatMap(({ seen }) => seen)
    expect(got.map(({ position }) => position).sort((one, other) => one - other)).toEqual(stored.map(({ position }) => position))
    for (const key of keys) {
      const numbers = got.filter((entry) => keyOf(entry) === key).map(numberOf)
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => index + 1))
    }
    expect(kills).toBeGreaterThan(3)
    const segments = await database.run('select segment from banyan_outbox_segments()')
    expect(segments.length).toBeGreaterThan(2)
    expect(stored.length).toBeGreaterThan(100)
  })

  it('waits for a writer that drew its position and has not committed, and for no other transaction', async () => {
    const slow = new pg.Client({ connectionString: place.url })
    const foreign = new pg.Client({ connectionString: place.url })
    await database.run('select 1')
    await Promise.all([slow.connect(), foreign.connect()])
    await foreign.query('begin; create table elsewhere (id integer); insert into elsewhere values (1)')
    // Nor for one that reads the outbox.
    await foreign.query('select count(*) from banyan_outbox')
    const log = database.store(outboxLogPort)
    const append = (n: number) => database.transaction((tx) => tx.store(outboxPort).append(tx, [record('a', n)]))
    const read = async () => (await log.read(partition, undefined, 10)).map(numberOf)
    await append(1)
    const partition = await partitionOfOnly()
    expect(await read()).toEqual([1])

    const insert = (n: number) => `
      insert into banyan_outbox (position, part, body)
      values (nextval('banyan_outbox_position'), ${partition}, '${record('a', n).body}')`
    await slow.query('begin')
    await slow.query(insert(2))
    await append(3)
    expect(await read()).toEqual([1])
    await slow.query('commit')
    await vi.waitFor(async () => expect(await read()).toEqual([1, 2, 3]))

    await slow.query('begin')
    await slow.query(insert(0))
    await append(4)
    expect(await read()).toEqual([1, 2, 3])
    // It dies, and leaves a hole.
    slow.on('error', () => undefined)
    const gone = new Promise<void>((resolve) => slow.once('end', resolve))
    const { rows } = await foreign.query('select pid from pg_stat_activity where datname = current_database() and state = $1', [
      'idle in transaction',
    ])
    const others = rows.map(({ pid }) => pid)
    expect(others).toHaveLength(1)
    await foreign.query('select pg_terminate_backend($1)', others)
    await gone
    await vi.waitFor(async () => expect(await read()).toEqual([1, 2, 3, 4]))
    await foreign.query('rollback')
    await foreign.end()
  })

  it.each([1, 2])('waits for a commit behind an append of %i at once, however many came later', async (count) => {
    await database.migrate([{ id: 'gate', sql: GATE }])
    const keeper = new pg.Client({ connectionString: place.url })
    await keeper.connect()
    await keeper.query('select pg_advisory_lock(4711)')
    const log = database.store(outboxLogPort)
    const append = (numbers: readonly number[], throughGate: boolean) =>
      database.transaction(async (tx) => {
        if (throughGate) await tx.sql`insert into gate values (1)`
        await tx.store(outboxPort).append(
          tx,
          numbers.map((n) => record('a', n)),
        )
      })
    const held = append([1, 2].slice(0, count), true)
    await vi.waitFor(async () => {
      const { rows } = await keeper.query(`select pg_sequence_last_value('banyan_outbox_position') as last`)
      expect(rows).toEqual([{ last: `${count}` }])
    })
    await append([3], false)
    const partition = await partitionOfOnly()
    const read = async () => (await log.read(partition, undefined, 10)).map(numberOf)
    expect(await read()).toEqual([])
    await keeper.query('select pg_advisory_unlock(4711)')
    await held
    await vi.waitFor(async () => expect(await read()).toEqual([...[1, 2].slice(0, count), 3]))
    await keeper.end()
  })

  it('notifies nobody where nobody else listens', async () => {
    const spy = new pg.Client({ connectionString: place.url })
    await database.run('select 1')
    await spy.connect()
    const heard: unknown[] = []
    spy.on('notification', (notification) => heard.push(notification))
    // It listens without saying so, as nobody of ours does.
    await spy.query('listen banyan_outbox')
    const append = () => database.transaction((tx) => tx.store(outboxPort).append(tx, [record('a', 1)]))
    const stop = database.store(outboxPort).onAppend(() => {})
    await vi.waitFor(async () => {
      const { rows } = await spy.query(
        'select 1 from pg_locks where classid = 1869968485 and database = (select oid from pg_database where datname = current_database())',
      )
      expect(rows).toHaveLength(1)
    })
    for (let turn = 0; turn < 5; turn += 1) await append()
    await spy.query('select pg_sleep(0.1)')
    expect(heard).toEqual([])
    await spy.query(`select pg_advisory_lock_shared(1869968485, hashtext('banyan_outbox'))`)
    await append()
    await vi.waitFor(async () => {
      await spy.query('select 1')
      expect(heard).not.toEqual([])
    })
    stop()
    await spy.end()
  })

  it('wakes the relay of another process', async () => {
    const other = postgres(place.url, { log: silentLogger })
    try {
      let wakes = 0
      const stop = other.store(outboxPort).onAppend(() => {
        wakes += 1
      })
      await vi.waitFor(async () => {
        await database.transaction((tx) => tx.store(outboxPort).append(tx, [record('a', 1)]))
        expect(wakes).toBeGreaterThan(0)
      }, 10_000)
      stop()
    } finally {
      await other.close()
    }
  })

  it('that has lost its last commits, as after a failover, keeps nothing from a relay that was further already', async () => {
    const sent: string[] = []
    const bus: Bus = {
      features: { ordering: 'key', redelivery: true, replay: true },
      publish: async (batch) => void sent.push(...batch.map(({ id }) => id)),
      subscribe: () => Promise.reject(new Error('nobody listens')),
      close: async () => {},
    }
    const append = (from: number, to: number) =>
      database.transaction((tx) => tx.store(outboxPort).append(tx, upTo(from, to).map(envelopeRecord)))
    const log = database.store(outboxLogPort)
    const mover = relay({ leaseMs: 60_000 })
    const context = { service: 'a', instanceId: 'a-1', world: systemWorld, log: silentLogger, database, bus }
    await append(1, 10)
    await mover.start(context)
    const partition = await partitionOfOnly()
    const doneAt = (done: number) =>
      vi.waitFor(async () => {
        const rows = await database.run('select done from banyan_outbox_progress where partition = $1', [partition])
        expect(rows).toEqual([{ done }])
      }, 10_000)
    await doneAt(10)
    await append(11, 30)
    await doneAt(30)
    await database.runAll(
      [
        { text: 'delete from banyan_outbox where position > 10' },
        { text: 'update banyan_outbox_progress set done = 10 where partition = $1', values: [partition] },
        { text: `select setval('banyan_outbox_position', 10)` },
      ],
      { atomic: true },
    )
    // The fence has seen it. What was drawn before can no longer be marked.
    await log.read(partition, 30, 1)
    const mark = (tx: Transaction) =>
      log.advance(tx, partition, { epoch: 1, done: 30, expiresAt: systemWorld.now() + 60_000, setbacks: log.setbacks?.() })
    expect(await database.transaction(mark)).toBe(false)
    await append(101, 125)
    await vi.waitFor(() => expect(sent.filter((id) => Number(id) > 100)).toEqual(upTo(101, 125).map(String)), 10_000)
    await doneAt(35)
    await mover.stop()
  })

  it('reads large records in parts, none of them left out, and a single one whatever its size', async () => {
    const bodies = [10, 10, 900, 10, 10, 10].map((size, n) => ({ ...record('a', n), body: JSON.stringify('x'.repeat(size)) }))
    await database.transaction((tx) => tx.store(outboxPort).append(tx, bodies))
    const partition = await partitionOfOnly()
    const log = postgresOutboxLog(database, 100)
    const parts: number[] = []
    const seen: OutboxEntry[] = []
    // The first read of all looks at the fence and may read twice.
    await log.read(partition, 1_000, 1)
    for (let batch = await log.read(partition, 0, 6); batch.length > 0; batch = await log.read(partition, seen.at(-1)?.position ?? 0, 6)) {
      parts.push(batch.length)
      seen.push(...batch)
    }
    expect(seen.map(({ body }) => body)).toEqual(bodies.map(({ body }) => body))
    expect(parts).toEqual([3, 3])
    expect(await postgresOutboxLog(database, 1).read(partition, 2, 6)).toHaveLength(1)
  })

  it('reads what a publisher of an older version writes, whose events say when they were published in a column', async () => {
    const { body } = envelopeRecord(1)
    await database.run(
      `insert into banyan_outbox (position, part, type, key, body, time)
       select nextval('banyan_outbox_position'), 2, 'seat.taken', 'a', $1, 1700000000000
       from (select pg_advisory_xact_lock_shared(1869968482, 'banyan_outbox_position'::regclass::oid::int)) as fence`,
      [body],
    )
    const log = database.store(outboxLogPort)
    expect(await log.read(2, undefined, 10)).toEqual([{ position: 1, body }])
    expect(await database.read((tx) => log.stats(tx))).toEqual({ backlog: 1, oldestAt: 1_700_000_000_000 })
  })

  it.each(['on', 'off'])('says when the oldest was published whatever stands before that (standard strings: %s)', async (standard) => {
    const name = new URL(place.url).pathname.slice(1)
    await database.run(`alter database "${name}" set standard_conforming_strings = ${standard}`)
    const again = postgres(place.url, { log: silentLogger })
    const odd = 'a "quoted\\ \n key", 7,'
    const body = JSON.stringify(['seat.taken/1', odd, odd, odd, 1_700_000_000_000, {}])
    await again.transaction((tx) => tx.store(outboxPort).append(tx, [{ ...record('a', 1), body }]))
    expect(await again.read((tx) => again.store(outboxLogPort).stats(tx))).toEqual({ backlog: 1, oldestAt: 1_700_000_000_000 })
    await again.close()
  })

  it('counts what is no event of its own, and says of it alone that nobody knows since when', async () => {
    await database.transaction((tx) => tx.store(outboxPort).append(tx, [{ ...record('a', 1), body: '[rubbish' }]))
    expect(await database.read((tx) => database.store(outboxLogPort).stats(tx))).toEqual({ backlog: 1, oldestAt: undefined })
  })

  it('gives a partition what is final although the look of another one was faster than its read', async () => {
    await database.transaction((tx) => tx.store(outboxPort).append(tx, [record('A1', 1)]))
    const log = database.store(outboxLogPort)
    const locker = new pg.Client({ connectionString: place.url })
    await locker.connect()
    await locker.query('begin; lock table banyan_outbox_progress in access exclusive mode')
    // From where a partition stands is read from that table; from a position given it is not.
    const slow = [0, 1, 2, 3].map((partition) => log.read(partition, undefined, 10))
    const fast = await Promise.all([0, 1, 2, 3].map((partition) => log.read(partition, 0, 10)))
    await locker.end()
    expect(fast.flat()).toHaveLength(1)
    expect((await Promise.all(slow)).flat()).toEqual(fast.flat())
  })
})

async function partitionOfOnly(): Promise<number> {
  const [row] = await database.run<{ part: number }>('select part from banyan_outbox limit 1')
  if (!row) throw new Error('the outbox is empty')
  return row.part
}
