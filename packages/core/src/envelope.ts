import { CodedError } from './coded-error.ts'

/**
 * An event on the wire: CloudEvents 1.0 in its structured JSON form, with the distributed tracing, correlation and
 * causation extensions. Attribute names are the specification's: lower case, letters and digits only.
 *
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
 */
export interface Envelope<Data = unknown> {
  readonly specversion: '1.0'
  /** Unique within `source`, stable across retries: the key receivers deduplicate by. */
  readonly id: string
  /** The service that published it. */
  readonly source: string
  /** The event's name, `order.placed`: also its topic. */
  readonly type: string
  /** The key: events of one subject keep their order. */
  readonly subject: string
  /** RFC 3339. */
  readonly time: string
  readonly datacontenttype: 'application/json'
  /** Name and version of the schema of `data`: `order.placed/2`. */
  readonly dataschema: string
  readonly data: Data
  /** W3C trace context of the transaction that published it. */
  readonly traceparent?: string
  readonly tracestate?: string
  /** The id that all messages of one business transaction share. */
  readonly correlationid?: string
  /** The id of the message that led to this one. */
  readonly causationid?: string
}

/** The code of {@link decodeEnvelope}'s error. */
export type EnvelopeErrorCode = 'ERR_ENVELOPE_INVALID'

/** Thrown by {@link decodeEnvelope}; the message names the attribute that is wrong. */
export class EnvelopeError extends CodedError<EnvelopeErrorCode> {}

const REQUIRED = ['id', 'source', 'type', 'subject', 'time', 'dataschema'] as const
const OPTIONAL = ['traceparent', 'tracestate', 'correlationid', 'causationid'] as const
/** The form of RFC 3339, section 5.6; `Date.parse` then checks the numbers. Alone it would take "1" and "Jan 1". */
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/

const JSON_TYPE = 'application/json'
/** In any case, and with parameters (RFC 9110, section 8.3.1). */
const JSON_TYPE_AS_SENT = /^application\/json[ \t]*(;|$)/i

/** The envelope as JSON text. */
export function encodeEnvelope(envelope: Envelope): string {
  return JSON.stringify(envelope)
}

/**
 * Reads an envelope from JSON text. Checks the attributes, not the data: that is for the event's own schema.
 *
 * @throws {EnvelopeError} `ERR_ENVELOPE_INVALID`
 */
export function decodeEnvelope(text: string): Envelope {
  const value = parseObject(text)
  if (value.specversion !== '1.0') throw invalid(`"specversion" is ${JSON.stringify(value.specversion)}, wanted "1.0"`)
  for (const name of REQUIRED) {
    if (typeof value[name] !== 'string' || value[name] === '') throw invalid(`"${name}" is ${JSON.stringify(value[name])}, wanted a text`)
  }
  dropUnset(value)
  for (const name of OPTIONAL) {
    if (value[name] !== undefined && typeof value[name] !== 'string') throw invalid(`"${name}" is not a text`)
  }
  if (!isTime(String(value.time))) throw invalid(`"time" is ${JSON.stringify(value.time)}, wanted RFC 3339`)
  // The specification lets JSON go without saying.
  const { datacontenttype: type = JSON_TYPE } = value
  if (type !== JSON_TYPE && !(typeof type === 'string' && JSON_TYPE_AS_SENT.test(type)))
    throw invalid(`"datacontenttype" is ${JSON.stringify(type)}, wanted "application/json"`)
  // Every attribute was checked above; TypeScript cannot follow the loops.
  return { ...value, datacontenttype: JSON_TYPE } as unknown as Envelope
}

/** The version in an envelope's `dataschema`: 2 of `order.placed/2`; 1 where it names none. */
export function schemaVersion(envelope: Envelope): number {
  const version = Number(/\/(\d+)$/.exec(envelope.dataschema)?.[1])
  return version > 0 ? version : 1
}

/** An attribute that is null is as one left out (JSON Event Format 1.0.2, section 2.2); data may be null. */
function dropUnset(value: Record<string, unknown>): void {
  for (const name in value) if (value[name] === null && name !== 'data') delete value[name]
}

function isTime(text: string): boolean {
  return RFC_3339.test(text) && !Number.isNaN(Date.parse(text))
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw invalid('it is not JSON', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('it is not a JSON object')
  return value as Record<string, unknown>
}

function invalid(what: string, cause?: unknown): EnvelopeError {
  return new EnvelopeError('ERR_ENVELOPE_INVALID', `cannot read an event envelope: ${what}`, { cause })
}
