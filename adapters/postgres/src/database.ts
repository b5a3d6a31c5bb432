import { ComponentError, type Migration, type StorePort } from '@banyan/core'
import { openConnection } from './connection.ts'
import { createDatabase } from './create-database.ts'
import { direct } from './direct.ts'
import { takeTurns } from './lanes.ts'
import { runMigrations } from './migrate.ts'
import { banyanMigrations } from './migrations.ts'
import { connectionPool } from './pool.ts'
import type { PostgresDatabase, StoreBinding } from './postgres-database.ts'
import { PostgresError } from './postgres-error.ts'
import { runAttempts } from './run-transaction.ts'
import { beginTexts, type PostgresOptions, settingsOf } from './settings.ts'
import { stores } from './stores.ts'
import { assertNotInside } from './transaction-scope.ts'

/**
 * A service's database in PostgreSQL 14 or later: `postgres('postgres://user:password@host:5432/orders')`. Connections are opened when
 * they are first needed, and Banyan's own tables made before the first use. `synchronous_commit` stays as the server has it.
 *
 * A body runs again, up to `attempts` times, when PostgreSQL refuses it for the sake of others that run at the same time, and when the
 * connection breaks before COMMIT is sent, unless the server says that it took too long: what it does besides the database must bear that.
 *
 * `int8` and whole numerics come back as numbers, those that a JavaScript number cannot hold exactly as bigint.
 *
 * @throws {PostgresError} `ERR_DATABASE_OPEN` when the URL is none; the first use `ERR_DATABASE_UNREACHABLE` and codes of migrations
 */
export function postgres(url: string, options: PostgresOptions = {}): PostgresDatabase {
  return openDatabase(url, options, { migrations: banyanMigrations, stores })
}

/** {@link postgres} with tables and stores of the caller's choice. */
export function openDatabase(
  url: string,
  options: PostgresOptions,
  parts: { migrations: readonly Migration[]; stores: readonly StoreBinding[] },
): PostgresDatabase {
  const settings = settingsOf(url, options)
  const { name, world, log } = settings
  const [beginWrite, beginRead] = [beginTexts(settings, 'write'), beginTexts(settings, 'read')]
  const pool = connectionPool(() => openConnection(settings), settings)
  const outside = direct(pool, settings)
  const migrate = (list: readonly Migration[]) => pool.use((connection) => runMigrations(connection, list, settings))
  const lanes = takeTurns(world)
  const { inUse, close } = useCounter(async () => {
    await outside.close()
    await pool.close()
  })
  const prepared = once(async () => {
    if (settings.create) await createDatabase(settings)
    await migrate(parts.migrations)
  })

  const database: PostgresDatabase = {
    dialect: 'postgres',
    name,
    world,
    log,
    async transaction(body) {
      assertNotInside(database, 'run a transaction')
      return inUse('run a transaction', async () => {
        await prepared()
        return runAttempts(pool, settings, {
          database,
          begin: beginWrite,
          lanes,
          body: (attempt) => body(attempt.transaction(database.store)),
        })
      })
    },
    async read(body) {
      assertNotInside(database, 'run a read')
      return inUse('read', async () => {
        await prepared()
        return runAttempts(pool, settings, { database, begin: beginRead, body: (attempt) => body(attempt.read()) })
      })
    },
    async migrate(migrations) {
      assertNotInside(database, 'migrate')
      await inUse('migrate', async () => {
        await prepared()
        await migrate(migrations)
      })
    },
    run: (text, values) => inUse('run a statement', () => prepared().then(() => outside.run(text, values))),
    runAll: (statements, how) => inUse('run statements', () => prepared().then(() => outside.runAll(statements, how))),
    listener: () => inUse('listen', () => prepared().then(outside.listener)),
    store: storesOf(() => database, parts.stores),
    close,
  }
  return database
}

/** Counts what runs, so that closing waits for it and nothing begins after. */
function useCounter(closeAll: () => Promise<void>): {
  inUse: <T>(action: string, work: () => Promise<T>) => Promise<T>
  close: () => Promise<void>
} {
  let running = 0
  let idle: (() => void) | undefined
  let closing: Promise<void> | undefined

  async function finish(): Promise<void> {
    if (running > 0) await new Promise<void>((resolve) => (idle = resolve))
    await closeAll()
  }
  return {
    async inUse(action, work) {
      if (closing) throw new PostgresError('ERR_DATABASE_CLOSED', `cannot ${action}: the database is closed`)
      running += 1
      try {
        return await work()
      } finally {
        running -= 1
        if (running === 0) idle?.()
      }
    },
    close() {
      closing ??= finish()
      return closing
    },
  }
}

/** Runs `work` once; again when it failed. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => {
    done ??= work().catch((error) => {
      done = undefined
      throw error
    })
    return done
  }
}

function storesOf(database: () => PostgresDatabase, bindings: readonly StoreBinding[]): PostgresDatabase['store'] {
  const made = new Map<string, unknown>()
  return <T>(port: StorePort<T>): T => {
    if (!made.has(port.name)) {
      const binding = bindings.find(([{ name }]) => name === port.name)
      if (!binding)
        throw new ComponentError('ERR_NO_STORE', `cannot give the store "${port.name}": the PostgreSQL adapter does not bring it`)
      made.set(port.name, binding[1](database()))
    }
    // `bind` tied a store of this type to the port of this name.
    return made.get(port.name) as T
  }
}
