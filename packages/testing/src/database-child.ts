import type { Database } from '@banyan/core'

// The second process of the database suite: node database-child.ts <module> <place> <role> <first id>

const [module = '', place = '', role = '', first = '0'] = process.argv.slice(2)
const { open }: { open: (place: string) => Database } = await import(module)
const roles: Record<string, (database: Database) => Promise<void>> = { count, migrate, load }
const run = roles[role]
if (!run) throw new RangeError(`cannot run "${role}", wanted ${Object.keys(roles).join(', ')}`)
// A parent that is gone, however it went, takes its children along.
process.on('disconnect', () => process.exit(0))
const database = open(place)
process.send?.('ready')
await run(database)
await database.close()
process.exit(0)

/** Reads and writes back in one transaction, 100 times: a lost update shows in the sum. */
async function count(database: Database): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) {
    await database.transaction(async (tx) => {
      const [row] = await tx.sql<{ n: number }>`select n from counter where id = 1`
      await tx.sql`update counter set n = ${(row?.n ?? 0) + 1} where id = 1`
    })
  }
}

/** Runs migrations of which each would fail if it ran twice. */
async function migrate(database: Database): Promise<void> {
  const migrations = Array.from({ length: 10 }, (_, index) => ({ id: `m-${index}`, sql: `create table made_${index} (id integer)` }))
  await database.migrate(migrations)
}

/** Writes pairs from eight producers for as long as it lives, and tells of each that was acknowledged. */
async function load(database: Database): Promise<void> {
  let next = Number(first)
  async function produce(): Promise<void> {
    for (;;) {
      const id = next++
      await database.transaction(async (tx) => {
        await tx.sql`insert into debits (id) values (${id})`
        await tx.sql`insert into credits (id) values (${id})`
      })
      process.send?.(id)
    }
  }
  await Promise.all(Array.from({ length: 8 }, produce))
}
