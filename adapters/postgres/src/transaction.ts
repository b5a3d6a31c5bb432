import { AsyncResource } from 'node:async_hooks'
import type { SqlValue, StorePort } from '@banyan/core'
import type { Connection, Result, Statement } from './connection.ts'
import type { PostgresReadTransaction, PostgresTransaction } from './postgres-database.ts'
import { PostgresError, type PostgresErrorCode } from './postgres-error.ts'
import { isDisconnect } from './server-error.ts'
import { shorten, textOf } from './statement.ts'
import { assertValues, type PostgresValue } from './values.ts'

/** One run of a body on a connection: from its first statement, which BEGIN goes along with, to COMMIT or ROLLBACK. */
export interface Attempt {
  /** For bodies that write. */
  transaction(store: <T>(port: StorePort<T>) => T): PostgresTransaction
  /** For bodies that read. */
  read(): PostgresReadTransaction
  /** Runs the writes of `beforeCommit`, then commits. @throws {PostgresError} and has rolled back, unless `ERR_COMMIT_UNKNOWN` */
  commit(): Promise<void>
  rollback(): Promise<void>
  /** Takes no more statements. */
  end(): void
  isOver(): boolean
  /** The first error of a statement: after it, PostgreSQL takes no other, whatever the body makes of it. */
  failure(): PostgresError | undefined
  /** The text of the first statement. */
  firstText(): string
  /** The calls of `afterCommit`. */
  readonly committed: readonly (() => void)[]
}

/** Creates an {@link Attempt}. Nothing is sent before the first statement. */
export function newAttempt(connection: Connection, begin: (firstText: string) => readonly string[]): Attempt {
  const writes: (() => Promise<void>)[] = []
  const last: Statement[] = []
  const committed: (() => void)[] = []
  let over = false
  const sender = statementSender(connection, begin)

  function assertOpen(action: string): void {
    if (!over) return
    throw new PostgresError(
      'ERR_TRANSACTION_OVER',
      `cannot ${action}: the transaction is over; is an "await" missing in its body, or did it take too long?`,
    )
  }

  const read = readTransaction(async (statement) => {
    assertOpen('run a statement')
    return sender.send(statement)
  })

  async function runWrites(): Promise<void> {
    // Not for...of: a write may register another one. One that came too late must not start.
    for (let index = 0; index < writes.length && !over; index += 1) await writes[index]?.()
    assertOpen('commit')
    // Now and not when the caller goes on: a write that is taken in between would never be run.
    over = true
  }

  return {
    transaction: (store) => ({
      ...read,
      store,
      // Hooks are bound to where they are registered: each belongs to its transaction and its trace.
      beforeCommit(write) {
        assertOpen('register a write before the commit')
        writes.push(bound(write))
      },
      withCommit(text, values = [], call) {
        assertOpen('register a statement for the commit')
        last.push({ text, values })
        if (call) committed.push(call)
      },
      afterCommit(call) {
        assertOpen('register a call after the commit')
        committed.push(bound(call))
      },
    }),
    read: () => read,
    async commit() {
      await runWrites()
      await sender.commit(last)
    },
    rollback() {
      over = true
      return sender.rollback()
    },
    end() {
      over = true
    },
    isOver: () => over,
    failure: sender.failure,
    firstText: sender.firstText,
    committed,
  }
}

/** As `AsyncResource.bind` does, which takes ten times as long: it dresses the function up as well. */
function bound<T>(hook: () => T): () => T {
  const place = new AsyncResource('banyan.hook')
  return () => place.runInAsyncScope(hook)
}

/** A transaction's statements on their way: BEGIN goes with the first, others may go with COMMIT. */
function statementSender(connection: Connection, begin: (firstText: string) => readonly string[]) {
  let first: string | undefined
  /** Whether the first statement was answered: until then nobody knows whether there is a transaction for the others. */
  let begun = false
  let beginning: Promise<void> = Promise.resolve()
  const held: (() => void)[] = []
  let failure: PostgresError | undefined

  function fail(error: PostgresError): never {
    failure ??= error
    throw error
  }
  function send<Row extends object>(statement: Statement): Promise<Result<Row>> {
    // Not by the server: if it was BEGIN that failed, the server would run it outside of a transaction.
    if (failure) return Promise.reject(afterFailure(failure, 'ERR_SQL', `run "${shorten(statement.text)}"`))
    if (first === undefined) return sendFirst<Row>(statement)
    if (begun) return connection.query<Row>(statement).catch(fail)
    return new Promise((resolve) => held.push(() => resolve(send<Row>(statement))))
  }
  function sendFirst<Row extends object>(statement: Statement): Promise<Result<Row>> {
    first = statement.text
    const answer = connection.beginAndQuery<Row>(begin(first), statement).catch(fail)
    beginning = answer.then(sendHeld, sendHeld)
    return answer
  }
  function sendHeld(): void {
    begun = true
    // At once and in their order, before whoever hears of the answer sends more.
    connection.inOnePacket(() => {
      for (const sendOne of held) sendOne()
    })
  }

  /** Behind the last statement, if there is one: together with it, unless that begins the transaction. */
  function sendCommit(statement: Statement | undefined): Promise<Result<object>>[] {
    if (statement === undefined) return [connection.exec('commit').catch(fail)]
    if (first === undefined) return [send(statement), connection.exec('commit').catch(fail)]
    return [connection.queryAndCommit(statement).catch(fail)]
  }

  /** Sends COMMIT right behind the last statements. */
  async function commit(last: readonly Statement[]): Promise<void> {
    await beginning
    if (failure) throw afterFailure(failure, 'ERR_COMMIT_FAILED', 'commit')
    const [next, ...others] = last
    if (first === undefined && next === undefined) return
    if (first === undefined && next && others.length > 0) {
      // They begin the transaction: those behind the first wait for its answer as all do.
      await send(next)
      return commit(others)
    }
    const loss = connection.loss('commit')
    if (loss) fail(loss)
    await finish(connection.inOnePacket(() => [...last.slice(0, -1).map((statement) => send(statement)), ...sendCommit(last.at(-1))]))
  }

  return {
    send,
    failure: () => failure,
    firstText: () => first ?? '',
    commit,
    async rollback(): Promise<void> {
      await beginning
      if (first !== undefined && !connection.isBroken()) await connection.exec('rollback')
    },
  }
}

/** What a transaction that only reads can do, over a way to send statements. */
export function readTransaction(send: <Row extends object>(statement: Statement) => Promise<Result<Row>>): PostgresReadTransaction {
  const run: PostgresReadTransaction['run'] = async <Row extends object>(text: string, values: readonly PostgresValue[] = []) =>
    (await send<Row>({ text, values })).rows
  return {
    dialect: 'postgres',
    run,
    async sql<Row extends object>(strings: TemplateStringsArray, ...values: SqlValue[]) {
      const text = textOf(strings)
      assertValues(values, text)
      return (await send<Row>({ text, values, parts: strings })).rows
    },
  }
}

/** Waits for what went with COMMIT and for COMMIT itself, which is the last. */
async function finish(sent: readonly Promise<Result<object>>[]): Promise<void> {
  const outcomes = await Promise.allSettled(sent)
  const failures: unknown[] = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  // Once the server has refused one statement, COMMIT can only have been a rollback, whether or not its answer came.
  const refusal = failures.find((error) => !isDisconnect(error))
  if (refusal !== undefined) throw refusal
  if (failures.length > 0) throw unknownCommit(failures[0])
  const [answer] = outcomes.slice(-1)
  if (answer?.status === 'fulfilled' && answer.value.command === 'COMMIT') return
  throw new PostgresError(
    'ERR_COMMIT_FAILED',
    'cannot commit: PostgreSQL rolled the transaction back, since one of its statements had failed',
  )
}

function unknownCommit(cause: unknown): PostgresError {
  return new PostgresError(
    'ERR_COMMIT_UNKNOWN',
    'cannot tell whether a transaction was committed: the connection broke after COMMIT was sent and before the answer came; look before doing it again',
    { cause },
  )
}

/** The body went on after a statement had failed, as it may with other databases. */
function afterFailure(failure: PostgresError, code: PostgresErrorCode, action: string): PostgresError {
  if (failure.code !== 'ERR_SQL' && failure.code !== 'ERR_SQL_CONSTRAINT') return failure
  return new PostgresError(
    code,
    `cannot ${action}: a statement failed before (${failure.message}), and PostgreSQL takes nothing more after that; avoid the failure ("on conflict do nothing") instead of catching it`,
    { cause: failure },
  )
}
