import type { Database, Logger, Transaction, World } from '@banyan/core'
import { recordAttempts } from './metrics.ts'
import { outage } from './outage.ts'
import { after, type FailedAttempt, type RetrySchedule } from './parking.ts'
import { type KeyQueue, keyQueuePort, type ParkedMessage } from './ports.ts'
import { pause, waker } from './waker.ts'

export interface KeyQueueOptions {
  readonly database: Database
  readonly world: World
  readonly log: Logger
  readonly group: string
  readonly retry: RetrySchedule
  /** How many lanes run at once. */
  readonly concurrency: number
  /** How often to look for what another process made due, milliseconds. */
  readonly pollMs: number
  /** Runs one message; `finish` does its last part in the transaction in which it leaves the queue. */
  readonly run: (message: ParkedMessage, finish: Finish) => Promise<void>
  /** What an error of `run` stands for. */
  readonly failureOf: (error: unknown) => FailedAttempt
  /**
   * How often in a row a failure of `message` has said nothing about it, with the one at hand: then it is no attempt. 0: it counts.
   * Default: each counts.
   */
  readonly inDoubt?: (message: ParkedMessage, error: FailedAttempt) => number
  /** Told after each run that was noted. */
  readonly onRun: (message: ParkedMessage, result: 'done' | 'retry' | 'dead') => void
}

/** Does `work`, unless the message has changed meanwhile, and takes the message out, in one transaction. */
export type Finish = (work: (tx: Transaction) => Promise<void>) => Promise<void>

/** Runs the parked messages of one group when they are due, and those behind them in order. */
export interface KeyQueueWorker {
  start(): void
  /** Resolves when what runs is done. */
  stop(): Promise<void>
}

/**
 * Creates a {@link KeyQueueWorker}. Different lanes run concurrently, one lane never does. Several workers, also of several
 * processes, may serve one group: a message has its effects once.
 */
export function keyQueueWorker(options: KeyQueueOptions): KeyQueueWorker {
  const { database, world, log, group, concurrency, pollMs, retry } = options
  const queue = database.store(keyQueuePort)
  const wakeUp = waker(world)
  const away = outage(world)
  const active = new Map<string, Promise<void>>()
  const abort = new AbortController()
  const { signal } = abort
  let running: Promise<void> = Promise.resolve()
  let forget = () => {}

  /** Starts what is due; gives back how long to sleep. */
  async function round(): Promise<number> {
    const room = concurrency - active.size
    if (room <= 0) return pollMs
    const upcoming = await database.read((tx) => queue.upcoming(tx, group, active.size + room + 1))
    const awayMs = away.over()
    if (awayMs !== undefined) log.warn({ group, awayMs }, 'the key queue can be read again')
    const idle = upcoming.filter(({ lane }) => !active.has(lane))
    const now = world.now()
    // No pause is longer than the cap: what seems to be, was noted by a clock that has been set back since.
    const isDue = (message: ParkedMessage) => dueAt(message) <= now || dueAt(message) > now + Math.max(1_000, retry.capMs)
    const due = idle.filter(isDue).slice(0, room)
    for (const message of due) active.set(message.lane, runLane(message))
    const next = idle.find((message) => !isDue(message))
    return next ? Math.min(pollMs, dueAt(next) - now) : pollMs
  }

  async function runLane(first: ParkedMessage): Promise<void> {
    try {
      for (let message: ParkedMessage | undefined = first; message && !signal.aborted; ) message = await runOne(options, queue, message)
    } catch (error) {
      log.error({ error, group, lane: first.lane }, 'cannot note how a parked message went; it will be run again')
      // The database is away. The lane stays taken meanwhile, or it would be due again at once.
      await pause(world, pollMs, signal)
    } finally {
      active.delete(first.lane)
      wakeUp.wake()
    }
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      const sleepMs = await round().catch((error: unknown) => {
        if (away.begins()) log.error({ error, group }, 'cannot read the key queue; it keeps trying, and says when it can')
        else log.debug({ error, group }, 'still cannot read the key queue')
        return pollMs
      })
      if (!signal.aborted) await wakeUp.sleep(sleepMs)
    }
    await Promise.all(active.values())
  }

  return {
    start() {
      forget = queue.onDue(wakeUp.wake)
      running = loop()
    },
    async stop() {
      abort.abort()
      forget()
      wakeUp.wake()
      await running
    },
  }
}

/** Runs a message; gives back the next of its lane when that may run at once. */
async function runOne(options: KeyQueueOptions, queue: KeyQueue, message: ParkedMessage): Promise<ParkedMessage | undefined> {
  const { database, world } = options
  let next: ParkedMessage | undefined
  let done = false
  try {
    await options.run(message, async (work) => {
      await database.transaction(async (tx) => {
        next = undefined
        done = await queue.claim(tx, message)
        if (!done) return
        await work(tx)
        next = await queue.remove(tx, message, world.now())
      })
    })
  } catch (error) {
    await noteFailure(options, queue, message, error)
    return undefined
  }
  if (done) {
    recordAttempts(options.group, message.parking.kind === 'due' ? message.parking.attempts + 1 : 1)
    options.onRun(message, 'done')
  }
  return next
}

async function noteFailure(options: KeyQueueOptions, queue: KeyQueue, message: ParkedMessage, error: unknown): Promise<void> {
  const { database, world, log, group, retry } = options
  const attempt = options.failureOf(error)
  const times = options.inDoubt?.(message, attempt) ?? 0
  const random = world.random()
  const event = times > 0 ? ({ kind: 'postponed', times, random } as const) : ({ kind: 'failed', error: attempt, random } as const)
  const parking = after(message.parking, event, world.now(), retry)
  const noted = await database.transaction(async (tx) => {
    if (!(await queue.claim(tx, message))) return false
    await queue.save(tx, message.position, parking)
    return true
  })
  if (!noted || parking.kind === 'waiting') return
  const { messageId, key } = message
  const fields = { group, messageId, key, attempts: parking.attempts, error: messageOfAttempt(attempt) }
  if (parking.kind === 'dead') recordAttempts(group, parking.attempts)
  if (parking.kind === 'dead') log.error(fields, 'a parked message has become a dead letter; its key waits for a decision')
  else if (times > 0) log.debug({ ...fields, dueAt: parking.dueAt }, 'a parked message failed again, maybe through no fault of its own')
  else log.warn({ ...fields, dueAt: parking.dueAt }, 'a parked message failed again and will be retried')
  options.onRun(message, parking.kind === 'dead' ? 'dead' : 'retry')
}

function messageOfAttempt({ code, message }: FailedAttempt): string {
  return code ? `${code}: ${message}` : message
}

function dueAt({ parking }: ParkedMessage): number {
  return parking.kind === 'due' ? parking.dueAt : Number.POSITIVE_INFINITY
}
