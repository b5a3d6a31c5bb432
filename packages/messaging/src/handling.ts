import {
  type ComponentContext,
  type Database,
  decodeEnvelope,
  type Envelope,
  type EventType,
  readEvent,
  type Transaction,
} from '@banyan/core'
import { context as active, type Exception, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { causedDatabase } from './caused-database.ts'
import type { PrepareContext } from './consumed-event.ts'
import { failedAttempt, MessagingError, type MessagingErrorCode, reasonOf, textOf } from './errors.ts'
import type { Finish } from './key-queue.ts'
import type { FailedAttempt } from './parking.ts'
import type { ParkedMessage } from './ports.ts'
import { type Cause, causedBy } from './publish.ts'
import { traceAttributes, withRemoteParent } from './trace.ts'

export interface EventRunnerOptions<Event, Prepared> {
  readonly types: readonly EventType[]
  readonly handler: (event: Event, tx: Transaction, prepared: Prepared) => Promise<void>
  readonly prepare?: (event: Event, context: PrepareContext) => Promise<Prepared>
  readonly timeoutMs: number
  readonly group: string
  readonly context: ComponentContext
  readonly database: Database
}

/** Runs the user's code for one event. */
export interface EventRunner {
  /** Whether there is something to do outside the transaction. */
  readonly prepares: boolean
  /** Reads, prepares, then `finish` with the handler; all in one span. */
  run(envelope: Envelope, finish: Finish): Promise<void>
  /** The same for a message out of the key queue. */
  rerun(message: ParkedMessage, finish: Finish): Promise<void>
  /** What an error of `run` stands for. */
  failureOf(error: unknown): FailedAttempt
}

/** Creates the {@link EventRunner} of a consumer. */
export function eventRunner<Event, Prepared>(options: EventRunnerOptions<Event, Prepared>): EventRunner {
  const { types, handler, prepare, group, context } = options

  async function read(envelope: Envelope): Promise<Event> {
    const type = types.find(({ name }) => name === envelope.type)
    if (!type) throw unexpected(envelope, group)
    const what = `the schema of event "${type.name}"`
    const data = await inTime(options, { code: 'ERR_SCHEMA_TIMEOUT', what }, () =>
      readEvent(type, envelope).catch((cause: unknown) => {
        throw new Unreadable(cause)
      }),
    )
    const { id, subject: key } = envelope
    // `Event` is the union of exactly these shapes over `types`; TypeScript cannot follow the lookup by name.
    return { type: type.name, data, id, key, envelope } as Event
  }

  async function run(envelope: Envelope, finish: Finish): Promise<void> {
    await inSpan(envelope, context.service, group, async (span) => {
      const event = await read(envelope)
      const cause = causeOf(span, envelope)
      // `Prepared` is `undefined` for a consumer without `prepare`: see the default of `consume`'s type parameter.
      const prepared = prepare ? await inContext(options, cause, (context) => prepare(event, context)) : (undefined as Prepared)
      await finish(async (tx) => {
        causedBy(tx, cause)
        await handler(event, tx, prepared)
      })
    })
  }

  return {
    prepares: prepare !== undefined,
    run,
    rerun: async (message, finish) => run(decode(message), finish),
    failureOf: (error) => (Unreadable.is(error) ? failedAttempt(error.cause, reasonOf(error.cause)) : failedAttempt(error)),
  }
}

/** Tells what is wrong with the message from what a handler may throw: the same codes mean something else there. */
class Unreadable extends Error {
  readonly #mark = true

  constructor(cause: unknown) {
    super('the event cannot be read', { cause })
  }

  /** `instanceof` runs code of what was thrown, which may throw. */
  static is(error: unknown): error is Unreadable {
    return typeof error === 'object' && error !== null && #mark in error
  }
}

function decode(message: ParkedMessage): Envelope {
  try {
    return decodeEnvelope(message.raw)
  } catch (cause) {
    throw new Unreadable(cause)
  }
}

function unexpected({ type, id }: Envelope, group: string): Unreadable {
  return new Unreadable(
    new MessagingError('ERR_EVENT_UNEXPECTED', `group "${group}" got event "${id}" of type "${type}", which it did not ask for`),
  )
}

/** Runs `prepare`; after its time the signal aborts. */
function inContext<Event, P>(
  options: EventRunnerOptions<Event, P>,
  cause: Cause,
  work: (context: PrepareContext) => Promise<P>,
): Promise<P> {
  const database = causedDatabase(options.database, cause)
  const { world, log } = options.context
  return inTime(options, { code: 'ERR_PREPARE_TIMEOUT', what: '"prepare"' }, (signal) => work({ database, world, log, signal }))
}

interface Limited {
  readonly timeoutMs: number
  readonly group: string
  readonly context: ComponentContext
}

/** Does `work`; after its time it counts as failed, whatever it still does. */
function inTime<T>(
  { timeoutMs, group, context }: Limited,
  { code, what }: { code: MessagingErrorCode; what: string },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  return new Promise((resolve, reject) => {
    const timer = context.world.after(timeoutMs, () => {
      const late = new MessagingError(code, `${what} took longer than ${timeoutMs} ms in group "${group}"`)
      abort.abort(late)
      reject(late)
    })
    Promise.resolve(abort.signal)
      .then(work)
      .then(resolve, reject)
      .finally(() => timer.cancel())
  })
}

function inSpan(envelope: Envelope, service: string, group: string, body: (span: Span) => Promise<void>): Promise<void> {
  const attributes = {
    'banyan.service': service,
    'banyan.key': envelope.subject,
    'messaging.destination.name': envelope.type,
    'messaging.message.id': envelope.id,
    'messaging.consumer.group.name': group,
  }
  const parent = withRemoteParent(active.active(), envelope)
  const span = trace.getTracer('@banyan/messaging').startSpan(`consume ${envelope.type}`, { kind: SpanKind.CONSUMER, attributes }, parent)
  return active.with(trace.setSpan(parent, span), async () => {
    try {
      await body(span)
    } catch (error) {
      span.recordException(exceptionOf(error))
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  })
}

/** As it was thrown, but all of it text: exporters trust that. */
function exceptionOf(error: unknown): Exception {
  const { code, message, stack } = failedAttempt(error)
  const name = textOf(() => (error instanceof Error ? error.name : undefined)) ?? 'Error'
  return { name, message, ...(code ? { code } : {}), ...(stack ? { stack } : {}) }
}

/** What the message hands on to all that is published while it is handled. */
function causeOf(span: Span, envelope: Envelope): Cause {
  return { correlationId: envelope.correlationid ?? envelope.id, causationId: envelope.id, ...traceOf(span, envelope) }
}

/** Its trace, also where no telemetry carries a context along. */
function traceOf(span: Span, envelope: Envelope): { traceparent?: string; tracestate?: string } {
  const own = traceAttributes(span)
  if (own.traceparent) return own
  const { traceparent, tracestate } = envelope
  return { ...(traceparent ? { traceparent } : {}), ...(tracestate ? { tracestate } : {}) }
}
