import { type Bus, codeOf, decodeEnvelope, type Envelope, EnvelopeError } from '@banyan/core'
import { MessagingError } from './errors.ts'
import { instruments } from './metrics.ts'
import { type OutboxFeed, outboxFeed } from './outbox-feed.ts'
import { after, firstInLine, type Parking, type RetrySchedule } from './parking.ts'
import { keyQueuePort, type NewParkedMessage, type OutboxEntry, outboxLogPort, outboxPort } from './ports.ts'
import { type Sent, send } from './sending.ts'
import { traceIdOf } from './trace.ts'
import { claimer, release, type Turn, type TurnOptions, whileRenewing } from './turn.ts'
import { pause, waker } from './waker.ts'

export interface PartitionOptions extends TurnOptions {
  readonly bus: Bus
  readonly service: string
  /** The group in which events the bus does not take are parked. */
  readonly group: string
  readonly batchSize: number
  readonly minPollMs: number
  readonly maxPollMs: number
  readonly retry: RetrySchedule
}

/** Moves one partition of an outbox to the bus. */
export interface PartitionMover {
  start(): void
  /** Finishes the batch in flight and gives the lease back. */
  stop(): Promise<void>
  /** Why nothing moves, while nothing does. */
  trouble(): unknown
}

/** The pause after the first failure in a row, and the longest one. */
const BACKOFF = { baseMs: 100, capMs: 5_000 }
/** After so many failures in a row it looks at twice as many records with each further one, up to 2 ** WIDEST batches. */
const WIDER_FROM = 4
const WIDEST = 6
const NONE: ReadonlySet<string> = new Set()

/** Creates a {@link PartitionMover}. An idle one writes nothing: the lease is taken when there is something to move. */
export function partitionMover(options: PartitionOptions): PartitionMover {
  const { database, world, log, service, partition, minPollMs, maxPollMs } = options
  const wakeUp = waker(world)
  const abort = new AbortController()
  const shift = shiftOf(options)
  let failures = 0
  let trouble: unknown
  let idleMs = minPollMs
  let running: Promise<void> = Promise.resolve()
  let forget = () => {}

  /** Says whether it got anywhere: having the lease again is not enough. */
  async function round(): Promise<boolean> {
    const step = await shift.step(failures)
    if (step.kind === 'moved') idleMs = minPollMs
    // Another may have moved on between the reading and the claim, so what was read is read again.
    if (step.kind === 'busy') await pause(world, Math.min(maxPollMs, step.waitMs), abort.signal)
    if (step.kind === 'empty') {
      // What woke it may have to wait for a slower writer, and nobody wakes it again then: it looks again soon.
      idleMs = (await wakeUp.sleep(idleMs)) ? minPollMs : Math.min(maxPollMs, idleMs * 2)
    }
    return step.kind !== 'claimed'
  }

  async function loop(): Promise<void> {
    while (!abort.signal.aborted) {
      try {
        if (await round()) {
          failures = 0
          trouble = undefined
        }
      } catch (error) {
        failures += 1
        trouble = error
        const fields = { error, service, partition, failures }
        if (failures === 1) log.warn(fields, 'the relay cannot move events; it keeps trying')
        else log.debug(fields, 'the relay still cannot move events')
        await pause(world, Math.round(world.random() * Math.min(BACKOFF.capMs, BACKOFF.baseMs * 2 ** failures)), abort.signal)
      }
    }
    await shift.end()
  }

  return {
    start() {
      forget = database.store(outboxPort).onAppend(wakeUp.wake)
      running = loop()
    },
    async stop() {
      abort.abort()
      forget()
      wakeUp.wake()
      await running
    },
    trouble: () => trouble,
  }
}

/** What a step did: moved events, took the lease, found nothing, or found the lease with another. */
type Step = { readonly kind: 'moved' | 'claimed' | 'empty' } | { readonly kind: 'busy'; readonly waitMs: number }

/** A turn at work: what it reads, and whether its group has parked keys. */
interface Shift {
  readonly turn: Turn
  readonly feed: OutboxFeed
  /** False: no key of the group is parked, so none has to be asked about. Only the holder of the turn parks keys of its partition. */
  mayBeParked: boolean
}

/** Takes turns at the partition and moves one batch a step. */
function shiftOf(options: PartitionOptions): { step(failures: number): Promise<Step>; end(): Promise<void> } {
  const { database, bus, world, log, service, group, partition, batchSize } = options
  const outbox = database.store(outboxLogPort)
  const claim = claimer(options)
  let shift: Shift | undefined

  async function begin(): Promise<Step> {
    await shift?.feed.end()
    shift = undefined
    if ((await outbox.read(partition, undefined, 1)).length === 0) return { kind: 'empty' }
    const claimed = await claim()
    if (claimed.kind === 'busy') return claimed
    const mayBeParked = await database.read((tx) => database.store(keyQueuePort).holds(tx, group))
    shift = { turn: claimed.turn, feed: outboxFeed(outbox, partition, claimed.turn.done), mayBeParked }
    return { kind: 'claimed' }
  }

  async function move(current: Shift, failures: number): Promise<Step> {
    const { turn, feed } = current
    const entries = await feed.next(windowOf(batchSize, failures))
    if (entries.length === 0) return { kind: 'empty' }
    const sent = await whileRenewing(options, turn, async () => {
      const parked = await parkedAmong(options, current, entries)
      return send(entries, { bus, parked, failures, limit: batchSize })
    })
    if (sent.upTo !== undefined) {
      const part = upToBatch(sent, sent.upTo, entries, batchSize)
      await settle(options, turn, part)
      if (part.failed.length > 0) current.mayBeParked = true
      feed.settled(part.upTo)
    }
    if (sent.error !== undefined) throw sent.error
    return { kind: 'moved' }
  }

  return {
    async step(failures) {
      if (!shift || shift.turn.expiresAt <= world.now()) return begin()
      try {
        return await move(shift, failures)
      } catch (error) {
        if (codeOf(error) === 'ERR_LEASE_LOST') {
          await shift.feed.end()
          shift = undefined
        }
        throw error
      }
    },
    async end() {
      await shift?.feed.end()
      if (shift)
        await release(options, shift.turn).catch((error: unknown) =>
          log.warn({ error, service, partition }, 'cannot give the lease back; it ends by itself'),
        )
    },
  }
}

/**
 * How many records to look at. More after many failures: a batch full of what the bus does not take, as of one busy key, must not
 * hide the others behind it for ever.
 */
function windowOf(batchSize: number, failures: number): number {
  return batchSize * 2 ** Math.min(Math.max(0, failures - WIDER_FROM), WIDEST)
}

async function parkedAmong(
  { database, group }: PartitionOptions,
  shift: Shift,
  entries: readonly OutboxEntry[],
): Promise<ReadonlySet<string>> {
  if (!shift.mayBeParked) return NONE
  const queue = database.store(keyQueuePort)
  const keys = [...new Set(entries.map(({ key }) => key))]
  return database.read(async (tx) => {
    const parked = await queue.parkedLanes(tx, group, keys)
    if (parked.size === 0) shift.mayBeParked = await queue.holds(tx, group)
    return parked
  })
}

/** What is settled at once: one batch, however wide the look was. What was sent beyond is sent again, and known at receivers. */
function upToBatch(sent: Sent, upTo: number, entries: readonly OutboxEntry[], batchSize: number): Sent & { upTo: number } {
  const end = Math.min(upTo, entries[batchSize - 1]?.position ?? upTo)
  return {
    ...sent,
    upTo: end,
    failed: sent.failed.filter(({ entry }) => entry.position <= end),
    waiting: sent.waiting.filter(({ position }) => position <= end),
  }
}

/** Marks as sent what the bus has accepted, and parks what it has not; both or none, and only with the lease still held. */
async function settle(options: PartitionOptions, turn: Turn, { upTo, accepted, failed, waiting }: Sent & { upTo: number }): Promise<void> {
  const { database, world, log, service, group, partition, leaseMs, retry } = options
  const queue = database.store(keyQueuePort)
  const now = world.now()
  const aside = [
    ...failed.map(({ entry, error }) => ({
      entry,
      parking: after(firstInLine(now), { kind: 'failed', error, random: world.random() }, now, retry),
    })),
    // The key may have been set free meanwhile: then the message is the first of it and due at once.
    ...waiting.map((entry) => ({ entry, parking: firstInLine(now) })),
  ].sort((one, other) => one.entry.position - other.entry.position)
  const expiresAt = now + leaseMs
  await database.transaction(async (tx) => {
    const moved = await database.store(outboxLogPort).advance(tx, partition, { epoch: turn.epoch, done: upTo, expiresAt })
    if (!moved)
      throw new MessagingError(
        'ERR_LEASE_LOST',
        `cannot mark events up to ${upTo} as sent: another relay has taken over since epoch ${turn.epoch}`,
      )
    for (const { entry, parking } of aside) await queue.push(tx, parkedMessage(entry, group, parking, now))
  })
  turn.expiresAt = expiresAt
  const { relayed, retries, deadLetters } = instruments()
  const attributes = { 'banyan.service': service }
  relayed.add(accepted, attributes)
  for (const { entry, error } of failed) {
    log.error(
      { service, key: entry.key, position: entry.position, error: error.message },
      'the bus does not take an event; its key is parked',
    )
    const counter = error.reason === 'failed' && retry.attempts > 1 ? retries : deadLetters
    counter.add(1, { ...attributes, 'banyan.group': group })
  }
}

function parkedMessage({ body, key, position }: OutboxEntry, group: string, parking: Parking, parkedAt: number): NewParkedMessage {
  const envelope = readable(body)
  const messageId = envelope?.id ?? `outbox-${position}`
  const traceId = envelope && traceIdOf(envelope)
  return { group, lane: key, messageId, type: envelope?.type, key, raw: body, traceId, parking, parkedAt }
}

function readable(body: string): Envelope | undefined {
  try {
    return decodeEnvelope(body)
  } catch (error) {
    // It becomes a dead letter that says so, with the text as it is.
    if (error instanceof EnvelopeError) return undefined
    throw error
  }
}
