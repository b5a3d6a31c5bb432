import { createHash } from 'node:crypto'
import { type Database, type Delivery, decodeEnvelope, type Envelope, type Logger, type World } from '@banyan/core'
import type { Attributes } from '@opentelemetry/api'
import { failedAttempt, MessagingError, reasonOf } from './errors.ts'
import type { EventRunner } from './handling.ts'
import { messageIdOf } from './message-id.ts'
import { instruments, recordAttempts, recordLag } from './metrics.ts'
import { after, type FailedAttempt, firstInLine, type Parking, type RetrySchedule } from './parking.ts'
import { type Admission, inboxPort, keyQueuePort, type NewParkedMessage } from './ports.ts'
import { short } from './short.ts'
import { traceIdOf } from './trace.ts'

export interface DeliveryOptions {
  readonly database: Database
  readonly world: World
  readonly log: Logger
  readonly group: string
  readonly ordering: 'key' | 'none'
  readonly retry: RetrySchedule
  readonly runner: EventRunner
  /** How long the inbox keeps ids, milliseconds. */
  readonly retentionMs: number
  /** On every count. */
  readonly attributes: Attributes
}

/**
 * Settles one delivery for good: handled, known before, or parked; each in one transaction with its inbox row. Rejects only
 * when the database cannot take any of these.
 */
export function deliveryHandler(options: DeliveryOptions): (delivery: Delivery) => Promise<void> {
  const { log, group, runner, attributes } = options
  return async (delivery) => {
    const { envelope } = delivery
    const admission = admissionOf(delivery, options)
    try {
      if (!envelope) throw undecodable(delivery.raw)
      const result = await take(envelope, delivery, admission, options)
      const { handled, duplicates } = instruments()
      if (result === 'new') {
        handled.add(1, attributes)
        recordLag(envelope, options.world.now(), attributes)
      }
      if (result === 'duplicate') duplicates.add(1, attributes)
    } catch (error) {
      const failure = envelope ? runner.failureOf(error) : failedAttempt(error, reasonOf(error))
      const parking = await parkFailed(delivery, admission, failure, options)
      if (parking)
        log.warn(
          { group, messageId: admission.id, key: envelope?.subject, error, parking: parking.kind },
          'an event failed and its key is parked',
        )
    }
  }
}

/** Runs the event unless it is known, or others of its lane are parked: then it goes behind them. */
async function take(
  envelope: Envelope,
  delivery: Delivery,
  admission: Admission,
  options: DeliveryOptions,
): Promise<'new' | 'duplicate' | 'parked'> {
  const { database, world, runner } = options
  const inbox = database.store(inboxPort)
  const queue = database.store(keyQueuePort)
  // Only to spare `prepare` what would be in vain; the answer that counts is that of `admit`, in the transaction.
  const known = runner.prepares ? await database.read((tx) => inbox.peek(tx, admission)) : 'new'
  if (known === 'duplicate') return known
  if (known === 'parked') return takeParked(delivery, admission, options)
  let result: 'new' | 'duplicate' | 'parked' = 'new'
  await runner.run(envelope, async (handle) => {
    await database.transaction(async (tx) => {
      const now = world.now()
      result = await inbox.admit(tx, admission, now)
      if (result === 'new') await handle(tx)
      if (result === 'parked') await queue.push(tx, parkedMessage(delivery, admission, firstInLine(now), now))
    })
  })
  return result
}

async function takeParked(delivery: Delivery, admission: Admission, { database, world }: DeliveryOptions): Promise<'duplicate' | 'parked'> {
  return database.transaction(async (tx) => {
    const now = world.now()
    if ((await tx.store(inboxPort).admit(tx, admission, now)) === 'duplicate') return 'duplicate'
    // The lane may have emptied since it was looked at: then the message is the first of it and due at once.
    await tx.store(keyQueuePort).push(tx, parkedMessage(delivery, admission, firstInLine(now), now))
    return 'parked'
  })
}

/** Parks a message that has just failed; `undefined` when somebody else has settled it meanwhile, or it waits behind others of its lane. */
async function parkFailed(
  delivery: Delivery,
  admission: Admission,
  error: FailedAttempt,
  { database, world, group, retry, attributes }: DeliveryOptions,
): Promise<Parking | undefined> {
  const now = world.now()
  const parking = after(firstInLine(now), { kind: 'failed', error, random: world.random() }, now, retry)
  const admitted = await database.transaction(async (tx) => {
    const answer = await tx.store(inboxPort).admit(tx, admission, now)
    if (answer !== 'duplicate') await tx.store(keyQueuePort).push(tx, parkedMessage(delivery, admission, parking, now))
    return answer
  })
  // One that waits has this run before it once more, and is told of then.
  if (admitted !== 'new') return undefined
  const { retries, deadLetters } = instruments()
  if (parking.kind === 'dead') {
    deadLetters.add(1, attributes)
    recordAttempts(group, parking.attempts)
  } else retries.add(1, attributes)
  return parking
}

function admissionOf({ envelope, raw, position, place }: Delivery, { group, ordering, world, retentionMs }: DeliveryOptions): Admission {
  if (envelope) {
    // Half of the time, so that a publisher whose clock is ahead does not make an old event look young. A young one is known by its
    // id alone, whatever became of the bus and its offsets.
    const old = !(Date.parse(envelope.time) > world.now() - retentionMs / 2)
    const id = messageIdOf(envelope)
    return { group, id, lane: ordering === 'key' ? short(envelope.subject) : id, place, old }
  }
  // What cannot be read has no id: its place and its bytes are the same each time it comes.
  const id = `undecodable-${createHash('sha256').update(`${position}\n${raw}`).digest('hex').slice(0, 32)}`
  return { group, id, lane: id, place, old: true }
}

function parkedMessage({ envelope, raw }: Delivery, { group, id, lane }: Admission, parking: Parking, parkedAt: number): NewParkedMessage {
  const traceId = envelope ? traceIdOf(envelope) : undefined
  return { group, lane, messageId: id, type: envelope?.type, key: envelope?.subject, raw, traceId, parking, parkedAt }
}

/** Why it cannot be read: the bus could not, so reading it again says what is wrong. */
function undecodable(raw: string): Error {
  try {
    decodeEnvelope(raw)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
  return new MessagingError('ERR_EVENT_UNREADABLE', 'the bus could not read the event')
}
