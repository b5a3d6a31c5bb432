import { type BusSubscription, type Logger, messageOf, sleep, type World } from '@banyan/core'
import { busCursors, type SavedPartition } from './bus-cursors.ts'
import { type GroupMember, joinGroup, leaveGroup } from './bus-groups.ts'
import { oldestOf, readEvents, toDelivery } from './bus-log.ts'
import { signal } from './bus-wake.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { SqliteError } from './sqlite-error.ts'
import { turnKeeper } from './turn-keeper.ts'

export interface BusReaderOptions {
  database: SqliteDatabase
  member: GroupMember
  handle: BusSubscription['handle']
  world: World
  log: Logger
  leaseMs: number
  maxBatch: number
  /** Called when there is something to save. */
  onMoved: () => void
}

/** One subscription at work: holds partitions of its group and delivers their events, one batch after another. */
export interface BusReader {
  readonly member: GroupMember
  /** @throws {SqliteError} `ERR_BUS_GROUP_TYPES` */
  start(): Promise<void>
  /** There are new events. */
  wake(): void
  /** Shares may have changed: join again before the next batch. */
  rejoin(): void
  /** The lease holds until then, by the monotonic clock. */
  renewed(untilMs: number): void
  unsaved(all: boolean): SavedPartition[]
  saved(partitions: readonly SavedPartition[]): void
  /** Finishes the batch in flight, saves, and gives everything back. */
  stop(): Promise<void>
}

/** After a failed batch: 100 ms, 200 ms ... up to this, less a random half. */
const LONGEST_BACKOFF_MS = 5_000

/** Creates a {@link BusReader}. */
export function busReader(options: BusReaderOptions): BusReader {
  const { member, database, world, log, leaseMs } = options
  const cursors = busCursors(member.types)
  const news = signal(world)
  const stopping = new AbortController()
  const step = stepOf({ options, cursors, join: joiner({ options, cursors }) })
  let running: Promise<void> = Promise.resolve()

  async function run(): Promise<void> {
    let failures = 0
    while (!stopping.signal.aborted) {
      news.reset()
      try {
        const idle = await step.next()
        failures = 0
        if (idle) await news.wait(leaseMs)
      } catch (error) {
        failures += 1
        log.warn({ error, group: member.group, failures }, `a batch of group "${member.group}" failed and comes again: ${messageOf(error)}`)
        await pause(failures)
      }
    }
  }

  async function pause(failures: number): Promise<void> {
    const longestMs = Math.min(LONGEST_BACKOFF_MS, 100 * 2 ** Math.min(failures - 1, 10))
    try {
      await sleep(world, longestMs * (0.5 + world.random() / 2), stopping.signal)
    } catch {
      // Stopped meanwhile: the loop sees it and ends.
    }
  }

  return {
    member,
    async start() {
      await step.joinFirst()
      running = run()
    },
    wake: news.set,
    rejoin() {
      step.rejoin()
      news.set()
    },
    renewed: step.renewed,
    unsaved: cursors.unsaved,
    saved: cursors.saved,
    async stop() {
      stopping.abort()
      news.set()
      await running
      await database.transaction((tx) => leaveGroup(tx, member, cursors.unsaved(true)))
    },
  }
}

interface Parts {
  options: BusReaderOptions
  cursors: ReturnType<typeof busCursors>
}

/** One turn of the loop: join if it is due, read, deliver. */
function stepOf({ options, cursors, join }: Parts & { join: () => Promise<readonly string[] | undefined> }) {
  const { member, database, world, leaseMs, maxBatch, handle, onMoved } = options
  const turns = turnKeeper(world, 10)
  let joinDue = false
  let leasedUntil = Number.NEGATIVE_INFINITY

  /** @returns the types of the members in the way */
  async function joinNow(): Promise<readonly string[] | undefined> {
    const from = world.monotonic()
    joinDue = false
    const otherTypes = await join()
    if (!otherTypes) leasedUntil = from + leaseMs
    return otherTypes
  }

  async function joinFirst(): Promise<void> {
    // Members that were killed are in the way until their lease has run out.
    const until = world.monotonic() + 2 * leaseMs
    for (let others = await joinNow(); others; others = await joinNow()) {
      if (world.monotonic() >= until) throw otherTypes(member, others)
      await sleep(world, 50)
    }
  }

  /** @returns whether there is nothing to do */
  async function next(): Promise<boolean> {
    await turns.next()
    if (joinDue || world.monotonic() >= leasedUntil) {
      const others = await joinNow()
      if (others) throw otherTypes(member, others)
    }
    const partitions = cursors.partitions()
    if (partitions.length === 0) return true
    const range = { after: cursors.lowest(), types: member.types, partitions, limit: maxBatch }
    const { events, upTo, atEnd } = await database.read((tx) => readEvents(tx, range))
    const wanted = events.filter(cursors.wants)
    if (wanted.length > 0) await handle(wanted.map(toDelivery))
    cursors.pass(upTo, wanted.length > 0)
    onMoved()
    return atEnd && wanted.length === 0
  }

  return {
    joinFirst,
    next,
    rejoin() {
      joinDue = true
    },
    renewed(untilMs: number) {
      leasedUntil = untilMs
    },
  }
}

function joiner({ options: { database, member, world, leaseMs }, cursors }: Parts): () => Promise<readonly string[] | undefined> {
  return async () => {
    const unsaved = cursors.unsaved(true)
    const { outcome, oldest } = await database.transaction(async (tx) => ({
      outcome: await joinGroup(tx, member, unsaved, world.now(), leaseMs),
      oldest: await oldestOf(tx),
    }))
    if ('otherTypes' in outcome) return outcome.otherTypes
    cursors.saved(unsaved)
    cursors.hold(outcome.held, oldest)
    return undefined
  }
}

function otherTypes({ group, types }: GroupMember, others: readonly string[]): SqliteError {
  return new SqliteError(
    'ERR_BUS_GROUP_TYPES',
    `cannot subscribe group "${group}" to ${types.join(', ')}: its other members handle ${others.join(', ')}; give each list of types a group of its own`,
    { retryAfterMs: 1_000 },
  )
}
