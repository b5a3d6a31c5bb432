import { type Bus, codeOf, decodeEnvelope, type Envelope, EnvelopeError } from '@banyan/core'
import { MessagingError } from './errors.ts'
import { instruments } from './metrics.ts'
import { after, firstInLine, type Parking, type RetrySchedule } from './parking.ts'
import { keyQueuePort, type NewParkedMessage, type OutboxEntry, outboxLogPort, outboxPort } from './ports.ts'
import { type Sent, send } from './sending.ts'
import { traceIdOf } from './trace.ts'
import { claim, release, type Turn, type TurnOptions, whileRenewing } from './turn.ts'
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

/** Creates a {@link PartitionMover}. An idle one writes nothing: the lease is taken when there is something to move. */
export function partitionMover(options: PartitionOptions): PartitionMover {
  const { database, world, log, service, partition, batchSize, minPollMs, maxPollMs } = options
  const outbox = database.store(outboxLogPort)
  const wakeUp = waker(world)
  const abort = new AbortController()
  let turn: Turn | undefined
  let failures = 0
  let trouble: unknown
  let idleMs = minPollMs
  let running: Promise<void> = Promise.resolve()
  let forget = () => {}

  async function round(): Promise<void> {
    const entries = await database.read((tx) => outbox.read(tx, partition, batchSize))
    if (entries.length === 0) {
      await wakeUp.sleep(idleMs)
      idleMs = Math.min(maxPollMs, idleMs * 2)
      return
    }
    idleMs = minPollMs
    if (!turn || turn.expiresAt <= world.now()) {
      const claimed = await claim(options)
      turn = claimed.kind === 'mine' ? claimed.turn : undefined
      // Another may have moved on between the reading and the claim, so what was read is read again.
      if (claimed.kind === 'busy') await pause(world, Math.min(maxPollMs, claimed.waitMs), abort.signal)
      return
    }
    const mine = turn
    const sent = await whileRenewing(options, mine, () => sendBatch(options, entries, failures))
    if (sent.upTo !== undefined) await settle(options, mine, sent.upTo, sent)
    if (sent.error !== undefined) throw sent.error
  }

  async function loop(): Promise<void> {
    while (!abort.signal.aborted) {
      try {
        await round()
        failures = 0
        trouble = undefined
      } catch (error) {
        if (codeOf(error) === 'ERR_LEASE_LOST') turn = undefined
        failures += 1
        trouble = error
        const fields = { error, service, partition, failures }
        if (failures === 1) log.warn(fields, 'the relay cannot move events; it keeps trying')
        else log.debug(fields, 'the relay still cannot move events')
        await pause(world, Math.round(world.random() * Math.min(BACKOFF.capMs, BACKOFF.baseMs * 2 ** failures)), abort.signal)
      }
    }
    if (turn)
      await release(options, turn).catch((error: unknown) =>
        log.warn({ error, service, partition }, 'cannot give the lease back; it ends by itself'),
      )
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

async function sendBatch({ database, bus, group }: PartitionOptions, entries: readonly OutboxEntry[], failures: number): Promise<Sent> {
  const keys = [...new Set(entries.map(({ key }) => key))]
  const parked = await database.read((tx) => database.store(keyQueuePort).parkedLanes(tx, group, keys))
  return send(entries, { bus, parked, failures })
}

/** Marks as sent what the bus has accepted, and parks what it has not; both or none, and only with the lease still held. */
async function settle(options: PartitionOptions, turn: Turn, upTo: number, { accepted, failed, waiting }: Sent): Promise<void> {
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
