import type { Connection } from './connection.ts'
import { PostgresError } from './postgres-error.ts'
import type { Settings } from './settings.ts'

/** Connections that take turns. */
export interface Pool {
  /**
   * Runs `work` on a connection of its own.
   *
   * @throws {PostgresError} `ERR_CONNECTIONS_EXHAUSTED` when none became free in time; what connecting throws
   */
  use<T>(work: (connection: Connection) => Promise<T>): Promise<T>
  /** Ends all connections. Nobody may be using one. */
  close(): Promise<void>
}

/** Creates a {@link Pool} of at most `maxConnections`; they are opened when they are first needed. */
export function connectionPool(open: () => Promise<Connection>, { world, maxConnections, queueTimeoutMs }: Settings): Pool {
  const idle: Connection[] = []
  const waiting: Waiter[] = []
  let taken = 0

  function take(): Connection | Promise<Connection> {
    for (let connection = idle.pop(); connection; connection = idle.pop()) {
      if (connection.isBroken()) continue
      taken += 1
      return connection
    }
    return taken < maxConnections ? openOne() : join()
  }

  async function openOne(): Promise<Connection> {
    taken += 1
    try {
      return await open()
    } catch (error) {
      taken -= 1
      // The next in line finds out for itself whether connecting works.
      serve()
      throw error
    }
  }

  function join(): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { resolve, reject, timer: world.after(queueTimeoutMs, giveUp) }
      waiting.push(waiter)
      function giveUp(): void {
        waiting.splice(waiting.indexOf(waiter), 1)
        reject(exhausted(maxConnections, queueTimeoutMs))
      }
    })
  }

  function giveBack(connection: Connection): void {
    taken -= 1
    // Whatever went wrong with it: the next one must not commit what somebody else has left behind.
    if (connection.inTransaction()) connection.destroy()
    if (!connection.isBroken()) idle.push(connection)
    serve()
  }

  function serve(): void {
    const next = waiting.shift()
    if (!next) return
    next.timer.cancel()
    Promise.resolve(take()).then(next.resolve, next.reject)
  }

  return {
    async use(work) {
      const found = take()
      const connection = found instanceof Promise ? await found : found
      try {
        return await work(connection)
      } finally {
        giveBack(connection)
      }
    },
    async close() {
      await Promise.all(idle.splice(0).map((connection) => connection.end()))
    },
  }
}

interface Waiter {
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: unknown) => void
  readonly timer: { cancel(): void }
}

function exhausted(maxConnections: number, queueTimeoutMs: number): PostgresError {
  return new PostgresError(
    'ERR_CONNECTIONS_EXHAUSTED',
    `cannot get a connection: all ${maxConnections} ("maxConnections") were in use for ${queueTimeoutMs} ms ("queueTimeoutMs"); make transactions shorter or allow more`,
    { retryAfterMs: 1_000 },
  )
}
