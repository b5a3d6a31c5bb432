import { sleep, type World } from '@banyan/core'
import { callAfterCommit } from './after-commit.ts'
import type { Connection } from './connection.ts'
import type { Lanes } from './lanes.ts'
import type { Pool } from './pool.ts'
import { PostgresError, type PostgresErrorCode } from './postgres-error.ts'
import { isDisconnect, isStale } from './server-error.ts'
import type { Settings } from './settings.ts'
import { type Attempt, newAttempt } from './transaction.ts'
import { insideScope } from './transaction-scope.ts'

/** The longest pause between two attempts, milliseconds. */
const LONGEST_PAUSE_MS = 50

/** What is run, and how. */
export interface TransactionRun<T> {
  /** What nested transactions are told by. */
  readonly database: object
  /** The statements that begin it. */
  readonly begin: readonly string[]
  /** Reads have none: whoever only reads a snapshot is in nobody's way. */
  readonly lanes?: Lanes
  readonly body: (attempt: Attempt) => Promise<T>
}

/**
 * Runs a body on a connection of the pool and ends its transaction; again where PostgreSQL refused it for the sake of others, or where a
 * connection broke before COMMIT was sent.
 *
 * @throws {PostgresError} `ERR_SERIALIZATION` after `attempts`; what `body` throws
 */
export async function runAttempts<T>(pool: Pool, settings: Settings, run: TransactionRun<T>): Promise<T> {
  const { world, attempts } = settings
  for (let number = 1; ; number += 1) {
    const outcome = await pool.use((connection) => runOnce(connection, settings, run))
    if (outcome.kind === 'committed') return outcome.value
    run.lanes?.refused(outcome.firstText, number)
    if (number >= attempts) throw exhausted(outcome.reason, attempts)
    await sleep(world, pauseMs(number, world))
  }
}

/** What an attempt came to. `again`: nothing of it is stored, and it was not the body's doing. */
type Outcome<T> =
  | { readonly kind: 'committed'; readonly value: T }
  | { readonly kind: 'again'; readonly reason: PostgresError; readonly firstText: string }

async function runOnce<T>(
  connection: Connection,
  settings: Settings,
  { database, begin, lanes, body }: TransactionRun<T>,
): Promise<Outcome<T>> {
  const attempt = newAttempt(connection, (firstText) => [...begin, ...(lanes?.behindBegin(firstText) ?? [])])
  let value: T
  try {
    value = await inTime(settings, connection, attempt, async () => {
      const result = await insideScope(database, attempt.isOver, () => body(attempt))
      await attempt.commit()
      return result
    })
  } catch (error) {
    await takeBack(settings, connection, attempt, error)
    // What the statement said, not what the body threw: it may have caught the one and thrown another.
    const reason = attempt.failure()
    const isFinal = isOurs(error, 'ERR_COMMIT_UNKNOWN', 'ERR_TRANSACTION_TIMEOUT')
    if (reason && isRepeatable(reason) && !isFinal) return { kind: 'again', reason, firstText: attempt.firstText() }
    throw error
  }
  callAfterCommit(attempt.committed, settings.log)
  return { kind: 'committed', value }
}

/** Whether it is the adapter's own, with one of these codes. A body may throw what nobody can look at, as some proxies: that is not. */
function isOurs(error: unknown, ...codes: readonly PostgresErrorCode[]): boolean {
  try {
    return error instanceof PostgresError && codes.includes(error.code)
  } catch {
    return false
  }
}

function isRepeatable(error: PostgresError): boolean {
  // The server ended a connection whose transaction took too long: it would again.
  if (error.code === 'ERR_TRANSACTION_TIMEOUT') return false
  return error.code === 'ERR_SERIALIZATION' || isStale(error) || isDisconnect(error)
}

async function takeBack(
  { world, transactionTimeoutMs }: Settings,
  connection: Connection,
  attempt: Attempt,
  error: unknown,
): Promise<void> {
  attempt.end()
  // Its statement may still run: only a cut ends it for sure.
  if (isOurs(error, 'ERR_TRANSACTION_TIMEOUT')) return connection.destroy()
  // A server that answers nothing rolls back when it finds the connection gone.
  const timer = world.after(transactionTimeoutMs, connection.destroy)
  try {
    await attempt.rollback()
  } catch {
    // Then the connection is gone, and the server rolls back.
    connection.destroy()
  } finally {
    timer.cancel()
  }
}

/** Ends a body that takes longer than `transactionTimeoutMs`; a COMMIT has as long again, then the connection is cut. */
function inTime<T>(
  { world, transactionTimeoutMs }: Settings,
  connection: Connection,
  attempt: Attempt,
  work: () => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer = world.after(transactionTimeoutMs, () => {
      if (attempt.isOver()) {
        timer = world.after(transactionTimeoutMs, connection.destroy)
        return
      }
      attempt.end()
      const message = `cannot finish a transaction: its body took longer than ${transactionTimeoutMs} ms ("transactionTimeoutMs"); wait for nothing but the database in it`
      reject(new PostgresError('ERR_TRANSACTION_TIMEOUT', message))
    })
    work()
      .then(resolve, reject)
      .finally(() => timer.cancel())
  })
}

function exhausted(reason: PostgresError, attempts: number): PostgresError {
  if (reason.code !== 'ERR_SERIALIZATION') return reason
  return new PostgresError(
    'ERR_SERIALIZATION',
    `cannot commit a transaction: others that run at the same time got in its way ${attempts} times ("attempts"): ${reason.message}`,
    { cause: reason, retryAfterMs: 100 },
  )
}

/** Doubles from 2 ms, less a random half so that those that met do not meet again. */
export function pauseMs(attempt: number, world: World): number {
  return Math.min(LONGEST_PAUSE_MS, 2 ** attempt) * (0.5 + world.random() / 2)
}
