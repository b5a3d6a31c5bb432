import { type Logger, sleep, type World } from '@banyan/core'
import type { Connection } from './connection.ts'
import type { Lanes } from './lanes.ts'
import type { Pool } from './pool.ts'
import { PostgresError } from './postgres-error.ts'
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
  /** The text that begins it. */
  readonly begin: string
  readonly lanes: Lanes
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
    try {
      return await pool.use((connection) => runOnce(connection, settings, run))
    } catch (error) {
      if (!(error instanceof Again)) throw error
      run.lanes.refused(error.firstText, number)
      if (number >= attempts) throw exhausted(error.reason, attempts)
      await sleep(world, pauseMs(number, world))
    }
  }
}

/** Nothing of the attempt is stored, and it was not the body's doing. */
class Again extends Error {
  readonly reason: PostgresError
  readonly firstText: string
  constructor(reason: PostgresError, firstText: string) {
    super(reason.message)
    this.reason = reason
    this.firstText = firstText
  }
}

async function runOnce<T>(connection: Connection, settings: Settings, { database, begin, lanes, body }: TransactionRun<T>): Promise<T> {
  const attempt = newAttempt(connection, (firstText) => begin + lanes.behindBegin(firstText))
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
    if (reason && isRepeatable(reason) && !isFinal(error)) throw new Again(reason, attempt.firstText())
    throw error
  }
  notify(attempt, settings.log)
  return value
}

/** The two ends of an attempt that another one must not follow. */
function isFinal(error: unknown): boolean {
  return error instanceof PostgresError && (error.code === 'ERR_COMMIT_UNKNOWN' || error.code === 'ERR_TRANSACTION_TIMEOUT')
}

function isRepeatable(error: PostgresError): boolean {
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
  if (error instanceof PostgresError && error.code === 'ERR_TRANSACTION_TIMEOUT') return connection.destroy()
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

function notify(attempt: Attempt, log: Logger): void {
  for (const call of attempt.committed) {
    try {
      call()
    } catch (error) {
      // The commit stands, and the others want to hear of it.
      log.error({ error }, 'an afterCommit call threw')
    }
  }
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
