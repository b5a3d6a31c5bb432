import { EnvelopeError, encodeEnvelope } from '@banyan/core'
import { MessagingError } from './errors.ts'
import { messageIdOf } from './message-id.ts'
import { instruments, recordAttempts } from './metrics.ts'
import type { Outgoing } from './outgoing.ts'
import { after, firstInLine, type Parking } from './parking.ts'
import type { PartitionOptions } from './partition-options.ts'
import { keyQueuePort, type NewParkedMessage, outboxLogPort } from './ports.ts'
import type { Sent } from './sending.ts'
import { short } from './short.ts'
import { traceIdOf } from './trace.ts'
import type { Turn } from './turn.ts'

/** Marks as sent what the bus has accepted, and parks what it has not; both or none, and only with the lease still held. */
export async function settle(
  options: PartitionOptions,
  { turn, setbacks }: { readonly turn: Turn; readonly setbacks: number | undefined },
  { upTo, accepted, failed, waiting }: Sent & { upTo: number },
): Promise<void> {
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
    const moved = await database.store(outboxLogPort).advance(tx, partition, { epoch: turn.epoch, done: upTo, expiresAt, setbacks })
    if (!moved)
      throw new MessagingError(
        'ERR_LEASE_LOST',
        `cannot mark events up to ${upTo} as sent: another relay has taken over since epoch ${turn.epoch}, or the outbox may have gone back`,
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
    const isDead = error.reason !== 'failed' || retry.attempts === 1
    const counter = isDead ? deadLetters : retries
    counter.add(1, { ...attributes, 'banyan.group': group })
    if (isDead) recordAttempts(group, 1)
  }
}

function parkedMessage(event: Outgoing, group: string, parking: Parking, parkedAt: number): NewParkedMessage {
  const { body, key, position, content } = event
  const common = { group, lane: short(key), key, parking, parkedAt }
  // It becomes a dead letter that says so, with the text as it is.
  if (content instanceof EnvelopeError)
    return { ...common, messageId: `outbox-${position}`, type: undefined, raw: body, traceId: undefined }
  return { ...common, messageId: messageIdOf(content), type: content.type, raw: encodeEnvelope(content), traceId: traceIdOf(content) }
}
