import { codeOf, type Database } from '@banyan/core'
import { expect, it, vi } from 'vitest'
import { type Child, startChild } from './child.ts'
import { type DatabaseTest, namesIn, TABLES } from './database-fixture.ts'

/** Several processes on one database, and processes that are killed. */
export function crashTests(test: DatabaseTest): void {
  const { prepared, open } = test
  const start = (role: string, first = 0) =>
    startChild('database-child', [test.fixture.module ?? '', test.site().place, role, String(first)])

  it('loses no update between three processes', async () => {
    const database = await prepared()
    const children = [start('count'), start('count')]
    await Promise.all(children.map((child) => child.heard('ready')))
    for (let turn = 0; turn < 100; turn += 1) {
      await database.transaction(async (tx) => {
        const [row] = await tx.sql<{ n: number }>`select n from counter where id = 1`
        await tx.sql`update counter set n = ${(row?.n ?? 0) + 1} where id = 1`
      })
    }
    await Promise.all(children.map((child) => child.ended()))
    expect(await database.read((tx) => tx.sql`select n from counter`)).toEqual([{ n: 300 }])
  })

  it('runs each migration once when processes start together', async () => {
    const children = [start('migrate'), start('migrate'), start('migrate')]
    await Promise.all(children.map((child) => child.ended()))
    expect(await open().read((tx) => tx.sql`select id from made_9`)).toEqual([])
  })

  it('keeps all that was acknowledged and no half when a process is killed under load', async () => {
    const database = await prepared()
    for (let round = 0; round < 3; round += 1) {
      const acknowledged = await killUnderLoad(start('load', round * 1_000_000))
      const { debits, credits } = await booked(database)
      expect(credits).toEqual(debits)
      expect(acknowledged.filter((id) => !debits.includes(id))).toEqual([])
    }
  })
}

/** What happens when there is no room left. */
export function diskTests({ fixture: { createSmall } }: DatabaseTest): void {
  if (typeof createSmall === 'string') {
    it.skip(`left out: ${createSmall}`)
    return
  }
  it('rejects with a named error, loses nothing that was acknowledged, and works again when there is room', async () => {
    const site = await createSmall()
    const database = site.open()
    try {
      await database.migrate([{ id: 'suite', sql: TABLES }])
      const kept = await fill(database)
      expect(await namesIn(database)).toEqual(kept)
      await site.makeRoom()
      await database.transaction((tx) => tx.sql`insert into items (id, name) values (1000000, 'z')`)
      expect(await namesIn(database)).toEqual([...kept, 'z'])
    } finally {
      await database.close()
      await site.remove()
    }
  })
}

/** Writes in groups of twenty until the disk is full. @returns the names that were acknowledged, sorted */
async function fill(database: Database): Promise<string[]> {
  const kept: string[] = []
  for (let round = 0; round < 1_000; round += 1) {
    const names = Array.from({ length: 20 }, (_, index) => `${String(round * 20 + index).padStart(6, '0')}${'.'.repeat(2_000)}`)
    const outcomes = await Promise.allSettled(
      names.map((name) => database.transaction((tx) => tx.sql`insert into items (id, name) values (${Number(name.slice(0, 6))}, ${name})`)),
    )
    kept.push(...names.filter((_, index) => outcomes[index]?.status === 'fulfilled'))
    const failures = outcomes.filter((outcome) => outcome.status === 'rejected')
    if (failures.length === 0) continue
    const codes = new Set(failures.map(({ reason }) => codeOf(reason)))
    expect([...codes].filter((code) => code !== 'ERR_DISK_FULL' && code !== 'ERR_COMMIT_FAILED')).toEqual([])
    return kept
  }
  throw new Error('cannot fill the disk: the small site of the fixture is too big')
}

/** @returns what the process said was committed before it was killed */
async function killUnderLoad(child: Child): Promise<number[]> {
  await vi.waitFor(() => expect(child.messages.length).toBeGreaterThan(300), { timeout: 10_000, interval: 5 })
  await child.kill()
  return child.messages.filter((message) => typeof message === 'number')
}

/** One statement, one moment: what the killed process had sent may still be committed by its server while we look. */
async function booked(database: Database): Promise<{ debits: number[]; credits: number[] }> {
  const rows = await database.read(
    (tx) =>
      tx.sql<{
        side: string
        id: number
      }>`select 'debit' as side, id from debits union all select 'credit' as side, id from credits order by id`,
  )
  const idsOf = (wanted: string) => rows.filter(({ side }) => side === wanted).map(({ id }) => id)
  return { debits: idsOf('debit'), credits: idsOf('credit') }
}
