import { silentLogger, systemWorld } from '@banyan/core'
import { type OutboxEntry, outboxLogPort, outboxPort } from '@banyan/messaging/internal'
import { type TestDatabase, testPostgres } from '@banyan/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openDatabase } from './database.ts'
import { type PostgresDatabase, postgres } from './index.ts'
import { banyanMigrations } from './migrations.ts'

let place: TestDatabase
let database: PostgresDatabase

beforeEach(async () => {
  place = await testPostgres()
  database = postgres(place.url, { log: silentLogger })
})
afterEach(async () => {
  await database.close()
  await place.drop()
})

const bodyOf = (n: number) => JSON.stringify(['seat.taken/1', `${n}`, 'a', 'a', 1, { data: n }])
const numberOf = ({ body }: OutboxEntry): number => JSON.parse(body)[5].data

const append = (n: number) => {
  const record = { id: `${n}`, type: 'seat.taken', key: 'a', body: bodyOf(n), time: 1 }
  return database.transaction((tx) => tx.store(outboxPort).append(tx, [record]))
}
const tidy = () => database.store(outboxLogPort).tidy()
const read = async () => (await database.store(outboxLogPort).read(await partition(), undefined, 10)).map(numberOf)

/** As after a million events more. */
const passMillion = () => database.run(`select setval('banyan_outbox_position', nextval('banyan_outbox_position') + 1048576)`)

/** How many events each segment has, the oldest first, and then the table itself. */
async function sizes(): Promise<number[]> {
  const segments = await database.run<{ name: string }>('select segment::text as name from banyan_outbox_segments()')
  const tables = [...segments.map(({ name }) => name), 'banyan_outbox']
  const counts = await Promise.all(tables.map((name) => database.run<{ n: number }>(`select count(*) as n from only ${name}`)))
  return counts.map(([row]) => row?.n ?? -1)
}

/** That of the events, all of one key. */
async function partition(): Promise<number> {
  const [row] = await database.run<{ part: number }>('select part from banyan_outbox limit 1')
  if (!row) throw new Error('the outbox is empty')
  return row.part
}

/** As a relay does, which has sent all up to there. */
async function markSent(upTo: string): Promise<void> {
  const [row] = await database.run<{ position: number }>(`select max(position) as position from ${upTo}`)
  const [log, part] = [database.store(outboxLogPort), await partition()]
  await log.read(part, undefined, 1)
  await database.transaction(async (tx) => {
    await log.saveLease(tx, part, { kind: 'held', epoch: 1, owner: 'me', expiresAt: systemWorld.now() + 1_000 })
    const progress = { epoch: 1, done: row?.position ?? -1, expiresAt: systemWorld.now() + 1_000, setbacks: log.setbacks?.() }
    expect(await log.advance(tx, part, progress)).toBe(true)
  })
}

describe('the segments of the outbox', () => {
  it('begin after a million positions, are read in order, and are dropped when all of them is sent', async () => {
    await append(1)
    await tidy()
    expect(await sizes()).toEqual([1])
    await passMillion()
    await append(2)
    await append(3)
    await tidy()
    expect(await sizes()).toEqual([3, 0])
    await append(4)
    await passMillion()
    await tidy()
    await append(5)
    expect(await sizes()).toEqual([3, 1, 1])
    expect(await read()).toEqual([1, 2, 3, 4, 5])
    const vacuumed = `select relname from pg_class where relname like 'banyan_outbox%' and relkind = 'r' and relname <> 'banyan_outbox_progress'
      and not coalesce('autovacuum_enabled=off' = any(reloptions), false)`
    expect(await database.run(vacuumed)).toEqual([])
    expect(await database.read((tx) => database.store(outboxLogPort).stats(tx))).toEqual({ backlog: 5, oldestAt: 1 })

    const [first] = await database.run<{ name: string }>('select segment::text as name from banyan_outbox_segments()')
    await markSent(`${first?.name} where position < (select max(position) from ${first?.name})`)
    // All but the very next position.
    await tidy()
    expect(await sizes()).toEqual([3, 1, 1])
    await markSent(`${first?.name}`)
    await tidy()
    expect(await sizes()).toEqual([1, 1])
    expect(await read()).toEqual([4, 5])
  })

  it('are not dropped with what somebody has written there by hand meanwhile', async () => {
    await append(1)
    await passMillion()
    await tidy()
    await append(2)
    const [segment] = await database.run<{ name: string }>('select segment::text as name from banyan_outbox_segments()')
    await markSent('banyan_outbox')
    const writer = new pg.Client({ connectionString: place.url })
    await writer.connect()
    await writer.query(`begin; insert into ${segment?.name} (position, part, body)
      select nextval('banyan_outbox_position'), part, '${bodyOf(3)}' from only banyan_outbox`)
    // It waits for the writer, and gives up where that takes too long.
    const tidied = tidy().catch(() => undefined)
    const waits = async () => expect(await database.run("select from pg_locks where not granted and locktype = 'relation'")).toHaveLength(1)
    await Promise.race([tidied, vi.waitFor(waits, { interval: 5 })])
    await writer.query('commit')
    await writer.end()
    await tidied
    expect(await sizes()).toEqual([2, 1])
    expect(await read()).toEqual([3])
  })

  it('begin when all who have written there are through, and not when that takes long', async () => {
    await append(1)
    expect(await read()).toEqual([1])
    await passMillion()
    const slow = new pg.Client({ connectionString: place.url })
    await slow.connect()
    await slow.query(`begin; insert into banyan_outbox (position, part, body)
      select nextval('banyan_outbox_position'), part, '${bodyOf(2)}' from banyan_outbox`)
    await expect(tidy()).rejects.toMatchObject({ code: 'ERR_SQL' })
    await append(3)
    expect(await read()).toEqual([1])
    await slow.query('commit')
    await slow.end()
    await vi.waitFor(async () => {
      await tidy()
      expect(await sizes()).toEqual([3, 0])
    }, 10_000)
    expect(await read()).toEqual([1, 2, 3])
  })

  it('hold a reader back by who writes in the newest, whatever table it has asked for before', async () => {
    await append(1)
    expect(await read()).toEqual([1])
    await passMillion()
    await tidy()
    const slow = new pg.Client({ connectionString: place.url })
    await slow.connect()
    await slow.query(`begin; insert into banyan_outbox (position, part, body)
      select nextval('banyan_outbox_position'), part, '${bodyOf(2)}' from banyan_outbox`)
    await append(3)
    expect(await read()).toEqual([1])
    await slow.query('commit')
    await slow.end()
    await vi.waitFor(async () => expect(await read()).toEqual([1, 2, 3]))
  })

  it('are written by roles that may write to the first, and belong to who has that', async () => {
    const name = `role_${new URL(place.url).pathname.slice(1)}`
    await append(1)
    await database.run(`create role ${name}_owner`)
    await database.run(`create role "${name} Writer"`)
    try {
      await database.run(`grant insert on banyan_outbox to "${name} Writer" with grant option`)
      await database.run('grant select on banyan_outbox to public')
      await database.run(`alter table banyan_outbox owner to ${name}_owner`)
      const rights = async () =>
        (
          await database.run<{ acl: string[] }>(
            `select array(select unnest(relacl)::text order by 1) || relowner::regrole::text as acl from pg_class where oid = 'banyan_outbox'::regclass`,
          )
        )[0]?.acl
      const before = await rights()
      expect(before).toHaveLength(4)
      await passMillion()
      await tidy()
      expect(await sizes()).toEqual([1, 0])
      expect(await rights()).toEqual(before)
    } finally {
      await database.run(`drop owned by ${name}_owner, "${name} Writer" cascade`)
      await database.run(`drop role ${name}_owner, "${name} Writer"`)
    }
  })

  it.each(['on', 'off'])('are what partitions of an older version become that have events (standard strings: %s)', async (standard) => {
    const old = await testPostgres()
    const until = banyanMigrations.findIndex(({ id }) => id === 'banyan-012-outbox-segments')
    const before = openDatabase(old.url, { log: silentLogger }, { migrations: banyanMigrations.slice(0, until), stores: [] })
    await before.run(`alter database "${new URL(old.url).pathname.slice(1)}" set standard_conforming_strings = ${standard}`)
    await before.run(`insert into banyan_outbox (position, part, body) select n, 2, $1 from unnest(array[1, 1048577, 3145728]) as n`, [
      bodyOf(7),
    ])
    await before.run(`select setval('banyan_outbox_position', 3145728)`)
    await before.close()
    database = await database.close().then(() => postgres(old.url, { log: silentLogger }))
    try {
      await append(6)
      // A relay of the oldest version takes keys and bodies side by side, and leaves out a key that is null.
      expect(await database.run('select key from only banyan_outbox')).toEqual([{ key: '' }])
      await database.run('delete from only banyan_outbox')
      // Of other positions than a publisher of the older version, who still names all columns and asks for room.
      await database.run('select banyan_outbox_extend(4194304)')
      await database.run(
        `insert into banyan_outbox (position, part, type, key, body, time) select nextval('banyan_outbox_position'), 2, 'seat.taken', 'a', $1, 1`,
        [bodyOf(8)],
      )
      expect(await read()).toEqual([7, 7, 7, 8])
      await markSent('banyan_outbox')
      // One by a relay of the older version.
      await database.run('select banyan_outbox_trim(3145728)')
      await tidy()
      await tidy()
      expect(await sizes()).toEqual([1])
    } finally {
      await database.close()
      await old.drop()
    }
  })
})
