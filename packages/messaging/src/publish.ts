import { checkEventData, EventError, type EventInput, type EventType, messageOf, type Schema, type Transaction } from '@banyan/core'
import { context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { instruments, isHeard } from './metrics.ts'
import { bodyOf, type EventContent } from './outbox-body.ts'
import { type Outbox, type OutboxRecord, outboxPort } from './ports.ts'
import { isTraced, type TraceAttributes, traceAttributes, withRemoteParent } from './trace.ts'

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
 * @throws {EventError} `ERR_EVENT_INVALID`, naming each field, also where the key is no text or the data is nothing that JSON can hold;
 *   then nothing is published, and the transaction goes on if you catch it
 * @throws the adapter's error with `ERR_TRANSACTION_OVER` when the transaction is over; one that was rolled back may instead take the
 *   event and drop it with those before it
 * @see Richardson, Microservices Patterns, 3.3.7, "Transactional outbox"
 */
export function publish<E extends EventType>(tx: Transaction, type: E, data: EventInput<E>, options: PublishOptions = {}): Promise<void> {
  try {
    // Before anything that may reject: a transaction that is over takes no event, and then nobody would wait for the record.
    const records = pendingOf(tx)
    // The place is taken in the call, so that events keep the order of the calls even if nobody waits for them.
    const record = recordOf(tx, type, data, options)
    records.push(record)
    return record instanceof Promise ? record.then(() => {}) : DONE
  } catch (error) {
    return Promise.reject(error)
  }
}

/** Says which message the transaction handles: what it publishes carries on its correlation, its causation and its trace. */
export function causedBy(tx: Transaction, cause: Cause): void {
  causes.set(tx, cause)
}

const DONE = Promise.resolve()

/** A promise while the schema still checks the data. */
type Pending = OutboxRecord | Promise<OutboxRecord>

/** A transaction is one object from its beginning to its end. */
const causes = new WeakMap<Transaction, Cause>()

/** What a transaction is about to publish stands in itself: in a WeakMap it would cost as much as the envelope. */
const PENDING = Symbol('banyan.pending')

interface Publishing extends Transaction {
  [PENDING]?: Pending[] | undefined
}

function pendingOf(tx: Publishing): Pending[] {
  const known = tx[PENDING]
  if (known) return known
  const records: Pending[] = []
  const outbox = tx.store(outboxPort)
  const append = (good: readonly OutboxRecord[]) => appendTo(outbox, tx, good)
  tx.beforeCommit(() => {
    // What a later `beforeCommit` publishes registers itself anew.
    tx[PENDING] = undefined
    return records.every(isReady) ? append(records) : readyOf(records).then(append)
  })
  // Only now that it has taken the hook: one that is over refuses each event, and not the first alone.
  tx[PENDING] = records
  return records
}

function appendTo(outbox: Outbox, tx: Transaction, records: readonly OutboxRecord[]): Promise<void> {
  if (records.length === 0) return DONE
  const { published } = instruments()
  if (isHeard(published))
    tx.afterCommit(() => {
      for (const { type } of records) published.add(1, { 'banyan.service': outbox.source, 'banyan.event': type })
    })
  return outbox.append(tx, records)
}

function isReady(record: Pending): record is OutboxRecord {
  return !(record instanceof Promise)
}

async function readyOf(records: readonly Pending[]): Promise<OutboxRecord[]> {
  const settled = await Promise.allSettled(records)
  // A rejected one has told its caller already, who may have decided to go on without it.
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
}

/** Made at once where the schema answers at once, as nearly all do: the promises would cost more than the record. */
function recordOf(tx: Transaction, type: EventType, data: unknown, options: PublishOptions): Pending {
  const { source, world } = tx.store(outboxPort)
  const cause = causes.get(tx)
  const id = world.uuid()
  const answer = type.schema['~standard'].validate(data)
  const span = isTraced() ? startSpan(type, { id, source }, cause) : undefined
  const make = (): OutboxRecord => {
    const time = world.now()
    const key = checkedText(options.key ?? type.key(data), type, 'key', 1)
    const correlationId = checkedText(options.correlationId ?? cause?.correlationId ?? id, type, 'correlation id', 0)
    const flow = { correlationId, causationId: cause?.causationId, trace: traceOf(span, cause) }
    const body = written(type, { id, source, key, time, data, ...flow })
    return { id, type: type.name, key, body, time }
  }
  if (fits(answer)) return within(span, make)
  const refuse = (error: unknown) =>
    within(span, () => {
      throw error
    })
  return checked(type, data, answer).then(() => within(span, make), refuse)
}

/** Types are not checked everywhere, and what no consumer can read must not be stored. */
function checkedText(value: unknown, { name, version }: EventType, what: string, leastLength: number): string {
  if (typeof value === 'string' && value.length >= leastLength) return value
  const given = typeof value === 'object' && value !== null ? 'an object' : value === '' ? 'empty' : String(value)
  throw new EventError('ERR_EVENT_INVALID', `cannot publish event "${name}/${version}": its ${what} is ${given}, wanted a text`)
}

function written(type: EventType, content: EventContent): string {
  try {
    return bodyOf(type, content)
  } catch (cause) {
    const reason = `its data cannot be written as JSON: ${messageOf(cause)}`
    throw new EventError('ERR_EVENT_INVALID', `cannot publish event "${type.name}/${type.version}": ${reason}`, { cause })
  }
}

type Answer = ReturnType<Schema['~standard']['validate']>

function fits(answer: Answer): boolean {
  return 'value' in answer && !answer.issues
}

/** Waits for the schema's answer; when that is a refusal, the check words it. */
async function checked(type: EventType, data: unknown, answer: Answer): Promise<void> {
  if (!fits(await answer)) await checkEventData(type, data)
}

function startSpan(type: EventType, { id, source }: { id: string; source: string }, cause: Cause | undefined): Span {
  const active = context.active()
  return trace.getTracer('@banyan/messaging').startSpan(
    `publish ${type.name}`,
    {
      kind: SpanKind.PRODUCER,
      attributes: { 'banyan.service': source, 'messaging.destination.name': type.name, 'messaging.message.id': id },
    },
    trace.getActiveSpan() || !cause ? active : withRemoteParent(active, cause),
  )
}

/** Does the last part of a span's work. */
function within<T>(span: Span | undefined, work: () => T): T {
  if (!span) return work()
  try {
    return work()
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) })
    throw error
  } finally {
    span.end()
  }
}

/** That of the message being handled goes on also where no telemetry is set up. */
function traceOf(span: Span | undefined, cause: Cause | undefined): TraceAttributes {
  const own = traceAttributes(span)
  return own.traceparent || !cause ? own : cause
}
