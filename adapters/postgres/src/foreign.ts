import { messageOf } from '@banyan/core'
import { callAfterCommit } from './after-commit.ts'
import type { Statement } from './connection.ts'
import type { PostgresDatabase, PostgresTransaction } from './postgres-database.ts'
import { PostgresError } from './postgres-error.ts'
import { readTransaction } from './transaction.ts'
import type { PostgresValue } from './values.ts'

/**
 * A transaction that your own data layer has begun and will commit, as Banyan sees it: `publish`, `startSaga`, `participant` and your
 * handlers' `tx.sql` write in it. As the last thing before COMMIT call {@link flush}; a COMMIT without it fails.
 */
export interface ForeignTransaction extends PostgresTransaction {
  /**
   * Runs what must be written last (`beforeCommit`): events get their positions here, so COMMIT at once. After it the transaction takes
   * nothing more from Banyan, and no second flush.
   *
   * @throws what a write throws; then roll back
   */
  flush(): Promise<void>
  /**
   * Says that your COMMIT has succeeded: calls what waits for it (`afterCommit`), so that relay and saga worker go on at once. Left out,
   * they find the rows when they next look.
   *
   * @throws {PostgresError} `ERR_NOT_FLUSHED`
   */
  committed(): void
}

export interface ForeignOptions {
  /** The database that the transaction is in: it brings the stores and the name of the service. */
  database: PostgresDatabase
}

/** Runs one statement in the transaction. Numbers stand for the values: `$1`, `$2`; `parts` is the text without them, of a template. */
export type ForeignQuery = (text: string, values: PostgresValue[], parts?: readonly string[]) => Promise<object[]>

/** Where a service's tables are: what the database is called on its server, and the schema. */
interface Home {
  readonly name: string
  readonly schema: string
}

/** The homes of databases whose tables are there. */
const homes = new WeakMap<PostgresDatabase, Home>()

/** The columns of a {@link Home}, of the table with this oid. */
const homeOf = (table: string) =>
  `current_database() as name, (select relnamespace::regnamespace::text from pg_class where oid = ${table}) as schema`

/**
 * Makes a {@link ForeignTransaction} of a way to run statements.
 *
 * @throws {PostgresError} `ERR_NOT_FLUSHED` when no transaction is open, or it is in a database of another name, in another
 * schema or without Banyan's tables
 */
export async function foreignTransaction(query: ForeignQuery, { database }: ForeignOptions): Promise<ForeignTransaction> {
  const guard = await placeGuard(query, homes.get(database) ?? (await prepare(database)))
  const state = foreignState()
  const read = readTransaction(async <Row extends object>({ text, values = [], parts }: Statement) => {
    state.assertOpen('run a statement')
    // The caller names the shape of the rows: SQL cannot be checked against it here.
    return { rows: (await query(text, [...values], parts)) as Row[], command: '' }
  })

  return {
    ...read,
    store: database.store,
    beforeCommit: (write) => state.add('writes', write, 'register a write before the commit'),
    afterCommit: (call) => state.add('calls', call, 'register a call after the commit'),
    withCommit(text, values = [], committed) {
      state.add('last', { text, values }, 'register a statement for the commit')
      if (committed) state.add('calls', committed, 'register a call after the commit')
    },
    async flush() {
      state.beginFlush()
      const { writes, last } = state.lists
      try {
        // Not for...of: a write may register another one.
        for (let index = 0; index < writes.length; index += 1) await writes[index]?.()
      } finally {
        // Right behind the last look: what came later would be taken and never run.
        state.close()
      }
      for (const { text, values = [] } of last) await query(text, [...values])
      await removeGuard(query, guard)
      state.flushed()
    },
    committed: () => callAfterCommit(state.commit(), database.log),
  }
}

/** What is registered with a foreign transaction, and how far it has come. */
function foreignState() {
  const lists: { writes: (() => Promise<void>)[]; calls: (() => void)[]; last: Statement[] } = { writes: [], calls: [], last: [] }
  let at: 'open' | 'flushing' | 'closed' | 'flushed' | 'committed' = 'open'

  function assertOpen(action: string): void {
    if (at !== 'open' && at !== 'flushing')
      throw new PostgresError('ERR_TRANSACTION_OVER', `cannot ${action}: the transaction has been flushed; do it before "flush"`)
  }
  return {
    lists,
    assertOpen,
    add<Key extends keyof typeof lists>(key: Key, item: (typeof lists)[Key][number], action: string): void {
      assertOpen(action)
      const list: unknown[] = lists[key]
      list.push(item)
    },
    beginFlush() {
      if (at !== 'open')
        throw new PostgresError('ERR_TRANSACTION_OVER', 'cannot flush: that was done before; after a flush that failed, roll back')
      at = 'flushing'
    },
    /** The writes are running for the last time, or have failed. */
    close() {
      at = 'closed'
    },
    flushed() {
      at = 'flushed'
    },
    /** @returns the calls that wait for the commit, once */
    commit(): readonly (() => void)[] {
      if (at !== 'flushed' && at !== 'committed')
        throw new PostgresError(
          'ERR_NOT_FLUSHED',
          'cannot call a transaction committed: it was not flushed; call "flush" before your COMMIT',
        )
      const calls = at === 'flushed' ? lists.calls : []
      at = 'committed'
      return calls
    },
  }
}

async function prepare(database: PostgresDatabase): Promise<Home> {
  await database.migrate([])
  const [home] = await database.run<{ name: string; schema: string }>(`select ${homeOf("'banyan_unflushed'::regclass")}`)
  if (!home) throw new Error('the server did not say where the tables are')
  homes.set(database, home)
  return home
}

async function placeGuard(query: ForeignQuery, wanted: Home): Promise<string> {
  try {
    const [row] = await query(
      `insert into banyan_unflushed (call) values (1) returning ctid::text as place, ${homeOf('banyan_unflushed.tableoid')}`,
      [],
    )
    // A service's tables, Banyan's among them, may be in each of several databases, and schemas.
    if (row && 'name' in row && row.name !== wanted.name) throw new Error(`it is in the database "${row.name}" and not in "${wanted.name}"`)
    if (row && 'schema' in row && row.schema !== wanted.schema)
      throw new Error(`it writes to the schema "${row.schema}" and not to "${wanted.schema}"`)
    if (row && 'place' in row && typeof row.place === 'string') return row.place
    throw new Error('the row was not given back')
  } catch (cause) {
    // Outside of a transaction the row's check comes at once.
    throw new PostgresError(
      'ERR_NOT_FLUSHED',
      `cannot use this transaction: ${messageOf(cause)}; wanted an open transaction in the database, and the schema, that "database" stands for`,
      { cause },
    )
  }
}

async function removeGuard(query: ForeignQuery, place: string): Promise<void> {
  const gone = await query('delete from banyan_unflushed where ctid = $1::text::tid returning 1 as gone', [place])
  if (gone.length === 1) return
  throw new PostgresError(
    'ERR_NOT_FLUSHED',
    'cannot flush: the transaction was rolled back to a savepoint older than this "tx"; make it after the savepoint, or roll all of it back',
  )
}
