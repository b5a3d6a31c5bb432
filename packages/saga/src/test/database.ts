// The database of this room's unit tests: the embedded one, in memory, on the clock of the test.
import { type Database, type ReadTransaction, silentLogger, type Transaction, type World } from '@banyan/core'
import { sqlite } from '@banyan/sqlite'
import { sagaStorePort } from '../store.ts'

export interface TestDatabase extends Database {
  /** What steps have noted by {@link addEffect}, in order. */
  effects(): Promise<string[]>
  /** While set, every transaction and read fails with it. */
  breakWith(error: Error | undefined): void
  /** The transaction commits, and then fails with this error as if its answer was lost. */
  loseAnswer(tx: Transaction, error: Error): void
  /** How many commits there were. */
  commits(): number
}

export function testDatabase(world: World, name = 'orders'): TestDatabase {
  const database = sqlite(':memory:', { name, world, log: silentLogger })
  let broken: Error | undefined
  const lost = new WeakMap<Transaction, Error>()
  let commits = 0
  const guarded = async <T>(write: () => Promise<T>): Promise<T> => {
    if (broken) throw broken
    const result = await write()
    commits += 1
    return result
  }
  // In its place, as this object is what the workers of a process know each other by.
  const store = database.store(sagaStorePort)
  const { write } = store
  Object.assign(store, { write: (batch: Parameters<typeof write>[0]) => guarded(() => write(batch)) })

  return {
    ...database,
    transaction: (body) =>
      guarded(async () => {
        let error: Error | undefined
        const result = await database.transaction(async (tx) => {
          const value = await body(tx)
          error = lost.get(tx)
          return value
        })
        if (error) throw error
        return result
      }),
    async read(body) {
      if (broken) throw broken
      return database.read(body)
    },
    effects: () => database.read(effectsIn),
    breakWith(error) {
      broken = error
    },
    loseAnswer: (tx, error) => void lost.set(tx, error),
    commits: () => commits,
  }
}

/** Notes what a step under test did, in its transaction. */
export async function addEffect(tx: Transaction, effect: string): Promise<void> {
  await tx.sql`create table if not exists effects (id integer primary key, effect text not null)`
  await tx.sql`insert into effects (effect) values (${effect})`
}

async function effectsIn(tx: ReadTransaction): Promise<string[]> {
  const [table] = await tx.sql`select 1 from sqlite_schema where name = 'effects'`
  if (!table) return []
  return (await tx.sql<{ effect: string }>`select effect from effects order by id`).map(({ effect }) => effect)
}
