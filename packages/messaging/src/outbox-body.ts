import { decodeEnvelope, type Envelope, EnvelopeError, type EventType } from '@banyan/core'
import type { TraceAttributes } from './trace.ts'

/** What an event carries besides its type. */
export interface EventContent {
  readonly id: string
  readonly source: string
  readonly key: string
  /** When it was published, milliseconds since 1970. */
  readonly time: number
  readonly data: unknown
  readonly correlationId: string
  readonly causationId: string | undefined
  readonly trace: TraceAttributes
}

/** What of an envelope follows from nothing else; `correlationid` is left out where it is the id. */
type Rest = Partial<Pick<Envelope, 'data' | 'traceparent' | 'tracestate' | 'correlationid' | 'causationid'>>

/** Schema and version, id, source, key, milliseconds since 1970. */
type Body = readonly [schema: string, id: string, source: string, subject: string, time: number, rest: Rest]

/**
 * An event as it stands in the outbox: half as long as its envelope, without what always reads the same and what would stand there twice.
 * Whoever waits for the COMMIT waits for each byte of it. As JSON:
 *
 *     ["order.placed/1","01980c0e-...","orders","order-1",1767225600000,{"data":{"total":12}}]
 *
 * @throws what writing the data throws, as for a bigint or a circle
 */
export function bodyOf({ name, version }: EventType, content: EventContent): string {
  const { id, source, key, time, data, correlationId, causationId, trace } = content
  const rest = {
    data,
    traceparent: trace.traceparent,
    tracestate: trace.traceparent && trace.tracestate,
    correlationid: correlationId === id ? undefined : correlationId,
    causationid: causationId,
  }
  // In one call, and not from pieces: JSON leaves out what is undefined, and what it makes of a function or a symbol it makes here too.
  return JSON.stringify([`${name}/${version}`, id, source, key, time, rest])
}

/**
 * The envelope of an event that stands in the outbox: as {@link bodyOf} writes it, or as the envelope itself, which is how somebody writes
 * there by hand, and how Banyan did once.
 *
 * @throws {EnvelopeError} `ERR_ENVELOPE_INVALID`
 */
export function envelopeOf(body: string): Envelope {
  if (!body.startsWith('[')) return decodeEnvelope(body)
  const [schema, id, source, subject, time, rest] = read(body)
  const envelope: Omit<Envelope, 'data'> = {
    specversion: '1.0',
    id,
    source,
    type: schema.slice(0, schema.lastIndexOf('/')),
    subject,
    time: timeText(time),
    datacontenttype: 'application/json',
    dataschema: schema,
    correlationid: id,
    ...rest,
  }
  // An event without data has an envelope without: the type says `unknown`, which that is too.
  return envelope as Envelope
}

function read(body: string): Body {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (cause) {
    throw unreadable('it is not JSON', cause)
  }
  if (isBody(value)) return value
  throw unreadable('wanted an envelope, or [schema/version, id, source, key, milliseconds since 1970, rest]')
}

/** ECMA-262, 21.4.1.1: the last time that there is, milliseconds either way from 1970. */
const LAST_MS = 8.64e15

const SCHEMA = /.\/\d+$/

function isBody(value: unknown): value is Body {
  if (!Array.isArray(value) || value.length !== 6) return false
  const [schema, id, source, subject, time, rest] = value
  const isTime = typeof time === 'number' && Math.abs(time) <= LAST_MS
  return isText(schema) && SCHEMA.test(schema) && isText(id) && isText(source) && isText(subject) && isTime && isRest(rest)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

const TEXTS: ReadonlySet<string> = new Set(['traceparent', 'tracestate', 'correlationid', 'causationid'])

function isRest(value: unknown): value is Rest {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  for (const name in value) {
    // Also with hundreds of thousands a second: most have nothing else.
    if (name === 'data') continue
    if (!TEXTS.has(name) || typeof (value as Record<string, unknown>)[name] !== 'string') return false
  }
  return true
}

function unreadable(what: string, cause?: unknown): EnvelopeError {
  return new EnvelopeError('ERR_ENVELOPE_INVALID', `cannot read an event of the outbox: ${what}`, { cause })
}

let lastTime = { ms: Number.NaN, text: '' }

/** RFC 3339. Many events fall into one millisecond, and writing its text takes longer than the rest of an envelope. */
function timeText(ms: number): string {
  if (ms !== lastTime.ms) lastTime = { ms, text: new Date(ms).toISOString() }
  return lastTime.text
}
