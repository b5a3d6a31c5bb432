import { codeOf, type Logger, messageOf, type Timer, type World } from '@banyan/core'
import { backOff, type CommitEngine, type Job, type Left, type Member, newMember } from './group-member.ts'
import { SqliteError } from './sqlite-error.ts'
import { turnKeeper } from './turn-keeper.ts'

export interface GroupCommitOptions {
  world: World
  log: Logger
  /** The most transactions in one commit, 1 or more. */
  maxGroup: number
  /** How long a group may take in members before it commits, milliseconds. */
  maxGroupMs: number
  /** How long one body may take, milliseconds. */
  transactionTimeoutMs: number
  /** How long to wait for another process that is writing, milliseconds. */
  busyTimeoutMs: number
}

/** Runs transactions one after another and commits those that come close together as one. */
export interface GroupCommit {
  /**
   * Runs `body` as one atomic, durable unit.
   *
   * @throws what `body` throws; {@link SqliteError} `ERR_COMMIT_FAILED`, `ERR_TRANSACTION_TIMEOUT`, `ERR_DATABASE_BUSY`,
   *   `ERR_DATABASE_CLOSED`
   */
  run<T>(body: (member: Member) => Promise<T>): Promise<T>
  /** The same for `work` that waits for nothing, and so needs neither a time limit nor hooks. */
  atOnce<T>(work: () => T): Promise<T>
  /** Takes no more and resolves when all that were taken are settled. */
  close(): Promise<void>
}

/**
 * Creates a {@link GroupCommit}. Transactions that arrive while one runs form a group: each after the first runs under a savepoint of
 * its own, so that a failure takes back its writes alone; then one COMMIT, one sync of the disk, makes them all durable. A lone
 * transaction does not wait for company. A first one that fails is its whole group.
 *
 * @see DeWitt et al., "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984, "group commit"
 */
export function groupCommit(engine: CommitEngine, options: GroupCommitOptions): GroupCommit {
  const { world } = options
  const queue: Job[] = []
  const turns = turnKeeper(world, options.maxGroupMs)
  let closed = false
  let running = false
  let drained: Promise<void> = Promise.resolve()

  async function drain(): Promise<void> {
    const lock = writeLock(engine, queue, options)
    while (queue.length > 0) {
      const taken: Job[] = []
      try {
        const turn = turns.next()
        if (turn) await turn
        const wait = lock.take()
        if (wait) await wait
        else await runGroup(engine, queue, taken, options)
      } catch (error) {
        // Nobody holds this promise: thrown on, it would end the process, or leave all who come later waiting for ever.
        abandon(engine, taken.length > 0 ? taken : queue.splice(0, 1), error)
      }
    }
    running = false
  }

  function add<T>(work: Job['work']): Promise<T> {
    if (closed) return Promise.reject(new SqliteError('ERR_DATABASE_CLOSED', 'cannot run a transaction: the database is closed'))
    return new Promise<T>((resolve, reject) => {
      // The job forgets the type of its value; `resolve` gets what the work of the same call gave.
      queue.push({ work, resolve: resolve as (value: unknown) => void, reject, queuedAt: world.monotonic(), alone: false })
      if (running) return
      running = true
      drained = drain()
    })
  }

  return {
    run: <T>(body: (member: Member) => Promise<T>) => add<T>({ body }),
    atOnce: <T>(atOnce: () => T) => add<T>({ atOnce }),
    async close() {
      closed = true
      await drained
    },
  }
}

/** Takes SQLite's write lock; while another process has it, waits in short steps and gives up on those that waited too long. */
function writeLock(
  engine: CommitEngine,
  queue: Job[],
  { world, busyTimeoutMs }: GroupCommitOptions,
): { take(): Promise<void> | undefined } {
  let busySince: number | undefined
  let attempt = 0

  /** @returns what to wait for before the next try, `undefined` when the lock is ours */
  function take(): Promise<void> | undefined {
    try {
      if (engine.begin()) {
        busySince = undefined
        attempt = 0
        return undefined
      }
    } catch (error) {
      // Not the lock but the file: the first in line hears of it, the next tries for itself.
      queue.shift()?.reject(error)
      return Promise.resolve()
    }
    const now = world.monotonic()
    busySince ??= now
    giveUp(now, busySince)
    return backOff(world, attempt++)
  }

  function giveUp(now: number, since: number): void {
    const overdue = queue.filter(({ queuedAt }) => now - Math.max(queuedAt, since) >= busyTimeoutMs)
    if (overdue.length === 0) return
    const kept = queue.filter((job) => !overdue.includes(job))
    queue.splice(0, queue.length, ...kept)
    for (const { reject } of overdue) {
      const message = `cannot begin a transaction: another process has been writing to the database for ${busyTimeoutMs} ms`
      reject(new SqliteError('ERR_DATABASE_BUSY', message, { retryAfterMs: 1_000 }))
    }
  }

  return { take }
}

interface Ran {
  readonly job: Job
  readonly left: Left
  /** Settles the caller's promise, once the commit is durable. */
  readonly settle: () => void
  readonly failed: boolean
  /** Whether the caller has its answer already: it did not wait for the group. */
  readonly told: boolean
}

/** What nobody foresaw, as when the disk refuses even the rollback: those whose turn it was hear of it, and the queue goes on. */
function abandon(engine: CommitEngine, jobs: readonly Job[], error: unknown): void {
  try {
    if (engine.inTransaction()) engine.rollback()
  } catch {
    // The next one cannot begin, and hears why.
  }
  const failure = commitFailed(jobs.length, error)
  for (const { reject } of jobs) reject(failure)
}

/**
 * Runs members, the later ones under savepoints, until the group is full, old, or nobody waits; then commits.
 *
 * @param taken filled with those that it takes from the queue
 */
async function runGroup(engine: CommitEngine, queue: Job[], taken: Job[], options: GroupCommitOptions): Promise<void> {
  const { world, maxGroup, maxGroupMs } = options
  const startedAt = world.monotonic()
  const group: Ran[] = []
  for (let job = queue.shift(); job; job = queue.shift()) {
    taken.push(job)
    const isFirst = group.length === 0
    const { work } = job
    // Also what does all at once is waited for: those that come in the same turn join it.
    const ran = await ('atOnce' in work
      ? runAtOnce(engine, job, work.atOnce, isFirst)
      : runMember(engine, job, work.body, isFirst, options))
    group.push(ran)
    // The first one failed and is all there was; or SQLite rolled back by itself, and what the others wrote is gone too.
    if (!engine.inTransaction()) return loseGroup(group, undefined)
    if (group.length >= maxGroup || world.monotonic() - startedAt >= maxGroupMs) break
    if (job.alone || queue[0]?.alone) break
  }
  commitGroup(engine, queue, group, options)
}

const NOTHING: Left = { committed: [], closings: [] }

function runAtOnce(engine: CommitEngine, job: Job, work: () => unknown, isFirst: boolean): Ran {
  try {
    enter(engine, isFirst)
    const value = work()
    keep(engine, isFirst)
    return { job, left: NOTHING, settle: () => job.resolve(value), failed: false, told: false }
  } catch (error) {
    return undo(engine, job, error, isFirst, false)
  }
}

async function runMember(
  engine: CommitEngine,
  job: Job,
  body: (member: Member) => Promise<unknown>,
  isFirst: boolean,
  { world, transactionTimeoutMs }: GroupCommitOptions,
): Promise<Ran> {
  const { member, finish, end } = newMember()
  let timer: Timer | undefined
  let late: SqliteError | undefined
  try {
    enter(engine, isFirst)
    const value = await new Promise((resolve, reject) => {
      timer = world.after(transactionTimeoutMs, () => {
        late = timedOut(transactionTimeoutMs)
        reject(late)
      })
      finish(body).then(resolve, reject)
    })
    end()
    keep(engine, isFirst)
    return { job, left: member.left, settle: () => job.resolve(value), failed: false, told: false }
  } catch (error) {
    end()
    return undo(engine, job, error, isFirst, error === late)
  } finally {
    timer?.cancel()
  }
}

/**
 * Before the first there is nothing to be kept, so it needs no savepoint. That is worth a lot: under one, SQLite copies each page before
 * it changes, beyond 64 KB into a file that it makes and deletes for each group.
 */
function enter(engine: CommitEngine, isFirst: boolean): void {
  if (!isFirst) engine.savepoint()
}

function keep(engine: CommitEngine, isFirst: boolean): void {
  if (!engine.inTransaction()) throw commitFailed(1, undefined)
  if (!isFirst) engine.release()
}

/** @param tellNow whether the caller hears of it at once: it has waited long enough */
function undo(engine: CommitEngine, job: Job, error: unknown, isFirst: boolean, tellNow: boolean): Ran {
  if (engine.inTransaction()) takeBack(engine, isFirst)
  if (tellNow) job.reject(error)
  return { job, left: NOTHING, settle: () => job.reject(error), failed: true, told: tellNow }
}

function takeBack(engine: CommitEngine, isFirst: boolean): void {
  try {
    if (isFirst) engine.rollback()
    else engine.undo()
  } catch {
    // The disk refused to give the member's pages back: the whole group goes, and its members hear of it.
    engine.rollback()
  }
}

function commitGroup(engine: CommitEngine, queue: Job[], group: Ran[], { log }: GroupCommitOptions): void {
  const closings = group.flatMap(({ left }) => left.closings)
  try {
    // After the last savepoint: under one, SQLite would copy the page that they all write to once for each member.
    for (const { write } of closings) write()
    engine.commit()
  } catch (error) {
    if (engine.inTransaction()) engine.rollback()
    // A deferred foreign key shows only at COMMIT: one by one, those without fault get through.
    if (codeOf(error) !== 'ERR_SQL_CONSTRAINT') loseGroup(group, error)
    else if (group.length === 1) group[0]?.job.reject(error)
    // Not those that were told: what was reported as failed must not be stored after all.
    else queue.unshift(...group.filter(({ told }) => !told).map(({ job }) => ({ ...job, alone: true })))
    return
  }
  // Before anything that is not ours: it is stored, and nobody of the group may hear anything else. They go on after the calls.
  for (const { settle } of group) settle()
  for (const { left } of group) notify(left.committed, log)
  notify(new Set(closings.map(({ committed }) => committed)), log)
}

/** Nothing of the group is stored, so none of its outcomes stands: even a failure may have come from what another one wrote. */
function loseGroup(group: Ran[], error: unknown): void {
  const last = group.at(-1)
  for (const ran of group) {
    if (error === undefined && ran === last && ran.failed) ran.settle()
    else ran.job.reject(commitFailed(group.length, error))
  }
}

function commitFailed(size: number, cause: unknown): SqliteError {
  const why = cause === undefined ? 'SQLite rolled back the group after an error in one of its transactions' : messageOf(cause)
  return new SqliteError('ERR_COMMIT_FAILED', `cannot commit a group of ${size}: ${why}; nothing of it is stored, try again`, {
    cause,
    retryAfterMs: 1_000,
  })
}

function timedOut(transactionTimeoutMs: number): SqliteError {
  const message = `cannot finish a transaction: its body took longer than ${transactionTimeoutMs} ms ("transactionTimeoutMs"); wait for nothing but the database in it`
  return new SqliteError('ERR_TRANSACTION_TIMEOUT', message)
}

function notify(calls: Iterable<() => void>, log: Logger): void {
  for (const call of calls) {
    try {
      // Also one that is async after all: nobody waits for it, and its rejection would end the process.
      const said: unknown = call()
      if (said instanceof Promise) said.catch((error) => logThrown(log, error))
    } catch (error) {
      // The commit stands and the others wait for theirs.
      logThrown(log, error)
    }
  }
}

function logThrown(log: Logger, error: unknown): void {
  try {
    log.error({ error }, 'an afterCommit call threw')
  } catch {
    // What was thrown may be such that no log can write it.
  }
}
