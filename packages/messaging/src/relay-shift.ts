import { codeOf } from '@banyan/core'
import { MessagingError } from './errors.ts'
import { type OutboxFeed, outboxFeed } from './outbox-feed.ts'
import { type Outgoing, outgoingOf } from './outgoing.ts'
import type { PartitionOptions } from './partition-options.ts'
import { keyQueuePort, outboxLogPort } from './ports.ts'
import { type Sent, send } from './sending.ts'
import { settle } from './settling.ts'
import { short } from './short.ts'
import { claimer, release, type Turn, whileRenewing } from './turn.ts'

/** After so many failures in a row it looks at twice as many records with each further one, up to 2 ** WIDEST batches. */
const WIDER_FROM = 4
const WIDEST = 6
const NONE: ReadonlySet<string> = new Set()

/**
 * What a step did: found nothing, moved events, of which there may be `more`, took the lease, or found it with another. Everything up to
 * `done` is sent.
 */
export type Step =
  | { readonly kind: 'empty' }
  | { readonly kind: 'moved'; readonly done: number; readonly more: boolean }
  | { readonly kind: 'claimed'; readonly done: number }
  | { readonly kind: 'busy'; readonly done: number; readonly waitMs: number }

/** A turn at work: what it reads, what it has marked, and whether its group has parked keys. */
interface Shift {
  readonly turn: Turn
  feed: OutboxFeed
  /** How often the outbox may have gone back when the turn began. */
  readonly setbacks: number | undefined
  /** False: no key of the group is parked, so none has to be asked about. Only the holder of the turn parks keys of its partition. */
  mayBeParked: boolean
  /** Everything up to here is marked as sent, for sure. */
  marked: number
  /** The batch before is being marked while the next one is sent. */
  marking: Promise<void> | undefined
}

/** Takes turns at the partition and moves one batch a step; less when `signal` aborts meanwhile. */
export function shiftOf(options: PartitionOptions): { step(failures: number, signal: AbortSignal): Promise<Step>; end(): Promise<void> } {
  const { database, world, log, service, group, partition } = options
  const outbox = database.store(outboxLogPort)
  const claim = claimer(options)
  let shift: Shift | undefined

  async function drop(): Promise<void> {
    const old = shift
    shift = undefined
    await old?.feed.end()
    // What could not be marked is read again, by whoever has the next turn.
    await old?.marking?.catch(() => undefined)
  }

  async function begin(): Promise<Step> {
    await drop()
    const setbacks = outbox.setbacks?.()
    if ((await outbox.read(partition, undefined, 1)).length === 0) return { kind: 'empty' }
    const claimed = await claim()
    if (claimed.kind === 'busy') return claimed
    const mayBeParked = await database.read((tx) => database.store(keyQueuePort).holds(tx, group))
    const { turn } = claimed
    shift = { turn, feed: outboxFeed(outbox, partition, turn.done), setbacks, mayBeParked, marked: turn.done, marking: undefined }
    return { kind: 'claimed', done: turn.done }
  }

  async function giveBack(): Promise<void> {
    const last = shift
    await drop()
    if (last)
      await release(options, last.turn).catch((error: unknown) =>
        log.warn({ error, service, partition }, 'cannot give the lease back; it ends by itself'),
      )
  }

  return {
    async step(failures, signal) {
      if (!shift || shift.turn.expiresAt <= world.now()) return begin()
      const current = shift
      try {
        return await move(options, current, { failures, signal })
      } catch (error) {
        // What another has taken over is not ours to give back, and stays as it is. Where the outbox may have gone back it is still ours.
        if (codeOf(error) === 'ERR_LEASE_LOST') await giveBack()
        throw error
      }
    },
    end: giveBack,
  }
}

async function move(options: PartitionOptions, current: Shift, at: { failures: number; signal: AbortSignal }): Promise<Step> {
  const { bus, answers, batchSize, database, partition } = options
  const { turn } = current
  const entries = (await current.feed.next(batchSize, looksFor(at.failures))).map(outgoingOf)
  if (database.store(outboxLogPort).setbacks?.() !== current.setbacks)
    throw new MessagingError(
      'ERR_LEASE_LOST',
      `cannot go on with partition ${partition} of the outbox: it may have gone back, as after a failover or a restart of its server; what is not marked is read again`,
    )
  if (entries.length === 0) {
    await marked(options, current)
    return { kind: 'empty' }
  }
  const sent = await whileRenewing(options, turn, async () => {
    const parked = await parkedAmong(options, current, entries)
    return send(entries, { bus, answers, parked, limit: batchSize, ...at })
  })
  // One after another: what is marked later lies behind what is marked before.
  await marked(options, current)
  let done = current.marked
  if (sent.upTo !== undefined) {
    const part = upToBatch(sent, sent.upTo, entries, batchSize)
    done = part.upTo
    current.marking = settle(options, current, part).then(() => {
      current.marked = part.upTo
    })
    // Whoever waits for it hears of its failure.
    current.marking.catch(() => undefined)
    current.feed.settled(part.upTo)
    if (part.failed.length > 0) current.mayBeParked = true
    // Where keys are parked, the next batch must find those of this one in the queue.
    if (current.mayBeParked || sent.error !== undefined) await marked(options, current)
  }
  if (sent.error !== undefined) throw sent.error
  return { kind: 'moved', done, more: entries.length >= batchSize }
}

/** Waits for the batch before to be marked; when that fails, all that is not marked is read and sent again. */
async function marked({ database, partition }: PartitionOptions, current: Shift): Promise<void> {
  const { marking } = current
  if (!marking) return
  current.marking = undefined
  try {
    await marking
  } catch (error) {
    await current.feed.end()
    current.feed = outboxFeed(database.store(outboxLogPort), partition, current.marked)
    throw error
  }
}

/**
 * How many batches to look at. More after many failures: a batch full of what the bus does not take, as of one busy key, must not
 * hide the others behind it for ever.
 */
function looksFor(failures: number): number {
  return 2 ** Math.min(Math.max(0, failures - WIDER_FROM), WIDEST)
}

async function parkedAmong(
  { database, group }: PartitionOptions,
  shift: Shift,
  entries: readonly Outgoing[],
): Promise<ReadonlySet<string>> {
  if (!shift.mayBeParked) return NONE
  const queue = database.store(keyQueuePort)
  const keys = [...new Set(entries.map(({ key }) => key))]
  return database.read(async (tx) => {
    const lanes = await queue.parkedLanes(tx, group, keys.map(short))
    if (lanes.size === 0) shift.mayBeParked = await queue.holds(tx, group)
    return new Set(keys.filter((key) => lanes.has(short(key))))
  })
}

/** What is settled at once: one batch, however wide the look was. What was sent beyond is sent again, and known at receivers. */
function upToBatch(sent: Sent, upTo: number, entries: readonly Outgoing[], batchSize: number): Sent & { upTo: number } {
  const end = Math.min(upTo, entries[batchSize - 1]?.position ?? upTo)
  return {
    ...sent,
    upTo: end,
    failed: sent.failed.filter(({ entry }) => entry.position <= end),
    waiting: sent.waiting.filter(({ position }) => position <= end),
  }
}
