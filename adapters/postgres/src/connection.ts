import { AsyncLocalStorage } from 'node:async_hooks'
import { Socket } from 'node:net'
import { messageOf } from '@banyan/core'
import pg from 'pg'
import { type Ask, asker } from './asking.ts'
import { BeginningQuery } from './beginning-query.ts'
import { COMMIT, CommittingQuery } from './committing-query.ts'
import { PostgresError } from './postgres-error.ts'
import { isDisconnect, isStale, toPostgresError } from './server-error.ts'
import { placeOf, type Settings } from './settings.ts'
import { type StatementNames, statementNames } from './statement-names.ts'
import { type Runnable, StatementQuery } from './statement-query.ts'
import { type PostgresValue, rowTypes } from './values.ts'
import { Sending } from './wire.ts'

/** A statement and its values. */
export interface Statement {
  /** One statement, with `$1`, `$2`, ... */
  readonly text: string
  readonly values?: readonly PostgresValue[]
  /** What stands before, between and behind the values, where they come once each and in order: a template's texts. */
  readonly parts?: readonly string[]
}

/** What a statement gave. */
export interface Result<Row extends object = Record<string, unknown>> {
  readonly rows: Row[]
  /** The first word of what was done: `INSERT`, `COMMIT`. */
  readonly command: string
}

/** One connection to the server. Statements are sent at once, without waiting for those before, and are answered in order. */
export interface Connection {
  /** Runs one statement, prepared. @throws {PostgresError} */
  query<Row extends object>(statement: Statement): Promise<Result<Row>>
  /**
   * Runs `beginning`, statements without values, and behind them one statement, in one exchange: the server answers all at once. When it
   * refuses one it does not come to those behind it. @throws {PostgresError}
   */
  beginAndQuery<Row extends object>(beginning: readonly string[], statement: Statement): Promise<Result<Row>>
  /**
   * Runs one statement and commits behind it, in one exchange: the server answers both at once. When it refuses the statement it does not
   * commit, and the transaction is to be rolled back. @throws {PostgresError}
   */
  queryAndCommit(statement: Statement): Promise<Result>
  /** Runs one or more statements without values, unprepared. @throws {PostgresError} */
  exec(text: string): Promise<Result>
  /** What `send` sends at once goes in one packet. */
  inOnePacket<T>(send: () => T): T
  /** Whether a transaction is open on it, as of the last answer. */
  inTransaction(): boolean
  /** Whether it is of no use any more. */
  isBroken(): boolean
  /** If so, why `action` cannot be done: what the server said at its end, if it said anything. */
  loss(action: string): PostgresError | undefined
  /** Calls back once when it is gone, whoever ended it. */
  onGone(call: () => void): void
  /** Calls back for each notification of a channel that it listens to. */
  onNotification(call: (channel: string, payload: string) => void): void
  /** Says goodbye to the server; what is under way is answered first. */
  end(): Promise<void>
  /** Cuts it. The server rolls back. */
  destroy(): void
}

/** How long the goodbye may take before the connection is cut. */
const GOODBYE_MS = 1_000

/** How long a connection is silent before the system asks whether the other side is there. */
const KEEP_ALIVE_MS = 10_000

/** For what does not say how isolated it is, whatever the database has for that. */
const SINGLE_STATEMENTS = 'set session characteristics as transaction isolation level read committed'

// A connection outlives whoever needed it first, and must not carry on their trace or their transaction.
const outsideOfAll = AsyncLocalStorage.snapshot()

/**
 * Connects.
 *
 * @throws {PostgresError} `ERR_DATABASE_UNREACHABLE`, `ERR_DATABASE_OPEN`, `ERR_CONNECTIONS_EXHAUSTED`
 */
export function openConnection(settings: Settings): Promise<Connection> {
  return outsideOfAll(() => connect(settings))
}

async function connect(settings: Settings): Promise<Connection> {
  const { url, world, connectTimeoutMs, maxStatements, prepare } = settings
  const socket = new Socket()
  const client = newClient(settings, socket)
  // Those under way hear of it themselves; this is for when there are none.
  let broken = false
  let reason: Error | undefined
  const isGone = (error?: Error) => {
    broken = true
    reason ??= error
  }
  client.on('error', isGone)
  client.on('end', isGone)
  const timer = world.after(connectTimeoutMs, () =>
    socket.destroy(new Error(`no answer within ${connectTimeoutMs} ms ("connectTimeoutMs")`)),
  )
  try {
    await client.connect()
    if (prepare) await client.query(SINGLE_STATEMENTS)
  } catch (error) {
    socket.destroy()
    throw toPostgresError(error, `connect to "${placeOf(url)}"`)
  } finally {
    timer.cancel()
  }

  function destroy(): void {
    broken = true
    socket.destroy()
  }

  function loss(action: string): PostgresError | undefined {
    if (!broken) return undefined
    const told = toPostgresError(reason ?? new Error('it was cut'), action)
    // Whatever it was, in whatever language: the connection is gone.
    return isDisconnect(told) ? told : new PostgresError('ERR_DATABASE_UNREACHABLE', told.message, { cause: told, retryAfterMs: 1_000 })
  }

  const ask = asker(client, { loss, destroy })
  return {
    ...statements(ask, prepare ? statementNames(client, maxStatements) : undefined),
    exec: (text) => ask(text, (answered) => new Sending(text, answered)),
    inOnePacket(send) {
      socket.cork()
      try {
        return send()
      } finally {
        socket.uncork()
      }
    },
    inTransaction: () => ['T', 'E'].includes(client.getTransactionStatus() ?? ''),
    isBroken: () => broken,
    loss,
    onGone: (call) => void (broken ? call() : client.once('end', call)),
    onNotification: (call) => void client.on('notification', ({ channel, payload = '' }) => call(channel, payload)),
    async end() {
      const cut = world.after(GOODBYE_MS, () => socket.destroy())
      await client.end()
      cut.cancel()
    },
    destroy,
  }
}

type Statements = Pick<Connection, 'query' | 'beginAndQuery' | 'queryAndCommit'>

function statements(ask: Ask, names: StatementNames | undefined): Statements {
  const runnable = ({ text, values = [] }: Statement): Runnable => ({ text, values: [...values], prepared: names?.of(text) })
  return {
    query(statement) {
      const { text } = statement
      const ready = runnable(statement)
      // Under another name it is prepared afresh.
      const failed = (failure: PostgresError) => isStale(failure) && names?.forget(text)
      return ask(text, (answered) => new StatementQuery(ready, answered), failed)
    },
    beginAndQuery(beginning, statement) {
      const { text } = statement
      // What stands behind BEGIN is rare, and parsed each time.
      const [begin = '', ...behind] = beginning
      const sent = [{ text: begin, name: names?.of(begin).name ?? '' }, ...behind.map((one) => ({ text: one, name: '' }))]
      const ready = runnable(statement)
      // Whether the server came to prepare them, it does not say.
      const failed = () => {
        for (const one of [begin, text]) names?.forget(one)
      }
      return ask(text, (answered) => new BeginningQuery(ready, answered, sent), failed)
    },
    queryAndCommit(statement) {
      const { text } = statement
      const commitName = names?.of(COMMIT).name
      const ready = runnable(statement)
      const failed = (failure: PostgresError) => {
        // Whether the server came to prepare it, it does not say.
        names?.forget(COMMIT)
        if (isStale(failure)) names?.forget(text)
      }
      return ask(text, (answered) => new CommittingQuery(ready, answered, commitName), failed)
    },
  }
}

function newClient(settings: Settings, socket: Socket): pg.Client {
  try {
    return clientOf(settings, socket)
  } catch (cause) {
    // A parameter of the URL that cannot be had, as the file of a certificate.
    throw new PostgresError('ERR_DATABASE_OPEN', `cannot connect to "${placeOf(settings.url)}": ${messageOf(cause)}`, { cause })
  }
}

function clientOf({ url, name, prepare, transactionTimeoutMs }: Settings, socket: Socket): pg.Client {
  return new pg.Client({
    connectionString: url,
    fallback_application_name: `banyan ${name}`,
    // Ours, so that it can be cut; the driver wraps it for TLS.
    stream: () => socket,
    // A machine that vanished is noticed, also by a connection that only listens.
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    pipeline: true,
    types: rowTypes,
    // The server's own limits: for a process that is paused, or whose machine is gone, while it holds locks.
    ...(prepare && { statement_timeout: transactionTimeoutMs, idle_in_transaction_session_timeout: transactionTimeoutMs }),
  })
}
