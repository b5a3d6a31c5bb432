import { checkEventData, type Envelope, type EventInput, type EventType, encodeEnvelope, type Transaction } from '@banyan/core'
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { instruments } from './metrics.ts'
import { type OutboxRecord, outboxPort } from './ports.ts'
import { type TraceAttributes, traceAttributes, withRemoteParent } from './trace.ts'

export interface PublishOptions {
  /** The business transaction it belongs to. Default: that of the message being handled, else the event's own id. */
  correlationId?: string
  /** What it keeps its order in. Default: the event type's `key` of the data. */
  key?: string
}

/** Where the events of a transaction come from. */
export interface Cause {
  correlationId: string
  /** The id of the message being handled. */
  causationId: string
  traceparent?: string
  tracestate?: string
}

/**
 * Publishes an event if, and only if, the transaction commits. The data is checked now; the row is written as one of the last
 * statements before COMMIT, so that events of one key are relayed in the order their transactions commit. Delivery is at least once.
 *
 * @throws {EventError} `ERR_EVENT_INVALID`, naming each field; then nothing is published, and the transaction goes on if you catch it
 * @throws the adapter's error with `ERR_TRANSACTION_OVER` when the transaction is over; one that was rolled back may instead take the
 *   event and drop it with those before it
 * @see Richardson, Microservices Patterns, 3.3.7, "Transactional outbox"
 */
export async function publish<E extends EventType>(
  tx: Transaction,
  type: E,
  data: EventInput<E>,
  options: PublishOptions = {},
): Promise<void> {
  // Before anything that may reject: a transaction that is over takes no event, and then nobody would wait for the record.
  const records = pendingOf(tx)
  // The place is taken before the first await, so that events keep the order of the calls even if nobody waits for them.
  const record = recordOf(tx, type, data, options)
  records.push(record)
  await record
}

/** Says which message the transaction handles: what it publishes carries on its correlation, its causation and its trace. */
export function causedBy(tx: Transaction, cause: Cause): void {
  causes.set(tx, cause)
}

/** Both by transaction: a transaction is one object from its beginning to its end. */
const causes = new WeakMap<Transaction, Cause>()
const pending = new WeakMap<Transaction, Promise<OutboxRecord>[]>()

function pendingOf(tx: Transaction): Promise<OutboxRecord>[] {
  const known = pending.get(tx)
  if (known) return known
  const records: Promise<OutboxRecord>[] = []
  const outbox = tx.store(outboxPort)
  tx.beforeCommit(async () => {
    // What a later `beforeCommit` publishes registers itself anew.
    pending.delete(tx)
    const settled = await Promise.allSettled(records)
    // A rejected one has told its caller already, who may have decided to go on without it.
    const good = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    if (good.length === 0) return
    await outbox.append(tx, good)
    tx.afterCommit(() => {
      for (const { type } of good) instruments().published.add(1, { 'banyan.service': outbox.source, 'banyan.event': type })
    })
  })
  // Only now that it has taken the hook: one that is over refuses each event, and not the first alone.
  pending.set(tx, records)
  return records
}

async function recordOf(tx: Transaction, type: EventType, data: unknown, options: PublishOptions): Promise<OutboxRecord> {
  const { source, world } = tx.store(outboxPort)
  const cause = causes.get(tx)
  const id = world.uuid()
  const parent = trace.getActiveSpan() || !cause ? context.active() : withRemoteParent(context.active(), cause)
  const span = trace.getTracer('@banyan/messaging').startSpan(
    `publish ${type.name}`,
    {
      kind: SpanKind.PRODUCER,
      attributes: { 'banyan.service': source, 'messaging.destination.name': type.name, 'messaging.message.id': id },
    },
    parent,
  )
  try {
    await checkEventData(type, data)
    const now = world.now()
    const key = options.key ?? type.key(data)
    const correlationId = options.correlationId ?? cause?.correlationId ?? id
    const envelope = envelopeOf(type, { id, source, key, now, data, correlationId }, cause, traceAttributes(span))
    return { id, type: type.name, key, body: encodeEnvelope(envelope), time: now }
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) })
    throw error
  } finally {
    span.end()
  }
}

interface Content {
  id: string
  source: string
  key: string
  now: number
  data: unknown
  correlationId: string
}

function envelopeOf(type: EventType, content: Content, cause: Cause | undefined, own: TraceAttributes): Envelope {
  return {
    specversion: '1.0',
    id: content.id,
    source: content.source,
    type: type.name,
    subject: content.key,
    time: new Date(content.now).toISOString(),
    datacontenttype: 'application/json',
    dataschema: `${type.name}/${type.version}`,
    data: content.data,
    ...(own.traceparent ? own : inherited(cause)),
    correlationid: content.correlationId,
    ...(cause ? { causationid: cause.causationId } : {}),
  }
}

/** The trace of the message being handled goes on also where no telemetry is set up. */
function inherited(cause: Cause | undefined): TraceAttributes {
  if (!cause?.traceparent) return {}
  return { traceparent: cause.traceparent, ...(cause.tracestate ? { tracestate: cause.tracestate } : {}) }
}
