import { type BusSubscription, type Delivery, decodeEnvelope, type Envelope, messageOf, sleep } from '@banyan/core'
import { busCursors, type SavedPartition } from './cursors.ts'
import { signal } from './signal.ts'
import type { BusSettings, BusStore, GroupMember, LoggedEvent } from './store.ts'

export interface BusReaderOptions {
  store: BusStore
  settings: BusSettings
  member: GroupMember
  handle: BusSubscription['handle']
  /** Called when there is something to save. */
  onMoved: () => void
}

/** One subscription at work: holds partitions of its group and delivers their events, one batch after another. */
export interface BusReader {
  readonly member: GroupMember
  /** @throws the store's error `ERR_BUS_GROUP_TYPES` */
  start(): Promise<void>
  /** There are new events. */
  wake(): void
  /** Shares may have changed: join again before the next batch. */
  rejoin(): void
  /** The lease holds until then, by the monotonic clock. */
  renewed(untilMs: number): void
  unsaved(all: boolean): SavedPartition[]
  saved(partitions: readonly SavedPartition[]): void
  /** Finishes the batch in flight, saves, and gives everything back; where the store is away, the lease does that when it is over. */
  stop(): Promise<void>
}

/** After a failed batch: 100 ms, 200 ms ... up to this, less a random half. */
const LONGEST_BACKOFF_MS = 5_000

/** Creates a {@link BusReader}. */
export function busReader(options: BusReaderOptions): BusReader {
  const { member, store, settings } = options
  const { world, log, leaseMs } = settings
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

  /** So that others need not wait for the end of its lease. */
  async function leave(): Promise<void> {
    try {
      await store.groups.leave(member, cursors.unsaved(true))
    } catch (error) {
      const what =
        'a member of a group could not give its share back: others have it when its lease is over, and what was not saved comes again'
      log.warn({ group: member.group, error: messageOf(error) }, what)
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
      await leave()
    },
  }
}

interface Parts {
  options: BusReaderOptions
  cursors: ReturnType<typeof busCursors>
}

/** One turn of the loop: join if it is due, read, deliver. */
function stepOf({ options, cursors, join }: Parts & { join: () => Promise<readonly string[] | undefined> }) {
  const { member, store, settings, handle, onMoved } = options
  const { world, leaseMs, maxBatch } = settings
  let identity = ''
  let joinDue = false
  let leasedUntil = Number.NEGATIVE_INFINITY

  /** @returns the types of the members in the way */
  async function joinNow(): Promise<readonly string[] | undefined> {
    const from = world.monotonic()
    joinDue = false
    try {
      const otherTypes = await join()
      if (!otherTypes) leasedUntil = from + leaseMs
      return otherTypes
    } catch (error) {
      // What made it due still does.
      joinDue = true
      throw error
    }
  }

  async function joinFirst(): Promise<void> {
    identity = await store.log.identity()
    // Members that were killed are in the way until their lease has run out.
    const until = world.monotonic() + 2 * leaseMs
    for (let others = await joinNow(); others; others = await joinNow()) {
      if (world.monotonic() >= until) throw otherTypes(store, member, others)
      await sleep(world, 50)
    }
  }

  /** @returns whether there is nothing to do */
  async function next(): Promise<boolean> {
    if (joinDue || world.monotonic() >= leasedUntil) {
      const others = await joinNow()
      if (others) throw otherTypes(store, member, others)
    }
    const partitions = cursors.partitions()
    if (partitions.length === 0) return true
    const range = { after: cursors.lowest(), types: member.types, partitions, limit: maxBatch }
    const { events, upTo, atEnd, setbacks } = await store.log.read(range)
    if (!cursors.fits(setbacks)) {
      // The log has gone back and fills up again: what is known of it by number would hide what comes now.
      cursors.forget()
      joinDue = true
      return false
    }
    const wanted = events.filter(cursors.wants)
    if (wanted.length > 0) await handle(wanted.map((event) => toDelivery(event, identity)))
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

function joiner({ options: { store, member, settings }, cursors }: Parts): () => Promise<readonly string[] | undefined> {
  return async () => {
    const unsaved = cursors.unsaved(true)
    const outcome = await store.groups.join(member, unsaved, settings.leaseMs)
    if ('otherTypes' in outcome) return outcome.otherTypes
    cursors.saved(unsaved)
    cursors.hold(outcome.held, outcome.oldest, outcome.setbacks)
    return undefined
  }
}

/** An event as a subscriber gets it. A group has a place of its own for each type: one that it adds begins at its oldest event. */
function toDelivery({ position, type, partition, raw }: LoggedEvent, identity: string): Delivery {
  const place = { partition: `${identity}/${type}/${partition}`, offset: position }
  return { envelope: tryDecode(raw), raw, position: String(position), place }
}

function tryDecode(raw: string): Envelope | undefined {
  try {
    return decodeEnvelope(raw)
  } catch {
    // Delivered without an envelope: the consumer makes a dead letter of it, with the text as it came.
    return undefined
  }
}

function otherTypes(store: BusStore, { group, types }: GroupMember, others: readonly string[]): Error {
  return store.error(
    'ERR_BUS_GROUP_TYPES',
    `cannot subscribe group "${group}" to ${types.join(', ')}: its other members handle ${others.join(', ')}; give each list of types a group of its own`,
    { retryAfterMs: 1_000 },
  )
}
