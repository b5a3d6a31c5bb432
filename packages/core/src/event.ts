import { CodedError } from './coded-error.ts'
import { type Envelope, schemaVersion } from './envelope.ts'
import { describeIssues, type InputOf, type OutputOf, type Schema, validate } from './schema.ts'
import { shown } from './shown.ts'

export interface EventOptions<S extends Schema> {
  /** The version of `schema`, a whole number from 1. Default 1. */
  version?: number
  /** Checks the data, when published and when consumed. */
  schema: S
  /** The aggregate the event is about; events of one key keep their order. */
  key: (data: InputOf<S>) => string
  /** From each older version to the next: `{ 1: (data) => ({ ...data, currency: 'EUR' }) }` takes 1 to 2. May be asynchronous. */
  upcast?: Readonly<Record<number, (data: unknown) => unknown>>
}

/** The contract of one kind of event. */
export interface EventType<Name extends string = string, S extends Schema = Schema> {
  /** `order.placed`: past tense, lower case, dots. Also the topic. */
  readonly name: Name
  readonly version: number
  readonly schema: S
  key(data: InputOf<S>): string
  readonly upcast: Readonly<Record<number, (data: unknown) => unknown>>
}

/** What one publishes of an event type. */
export type EventInput<E> = E extends EventType<string, infer S> ? InputOf<S> : never

/** What a consumer gets of an event type: the data after its schema. */
export type EventData<E> = E extends EventType<string, infer S> ? OutputOf<S> : never

/** The codes of {@link EventError}. */
export type EventErrorCode = 'ERR_EVENT_INVALID' | 'ERR_EVENT_VERSION_UNKNOWN' | 'ERR_EVENT_UPCAST_MISSING' | 'ERR_EVENT_UPCAST_FAILED'

/** An event's data does not fit its contract. */
export class EventError extends CodedError<EventErrorCode> {}

/** Declares an event: `event('order.placed', { version: 1, schema: z.object({ ... }), key: (d) => d.orderId })`. */
export function event<const Name extends string, S extends Schema>(name: Name, options: EventOptions<S>): EventType<Name, S> {
  const { version = 1, schema, key, upcast = {} } = options
  if (!/^[a-z0-9]+([.-][a-z0-9]+)*$/.test(name))
    throw new TypeError(`cannot declare event "${name}": wanted lower-case words with dots or dashes, as in "order.placed"`)
  if (!Number.isInteger(version) || version < 1)
    throw new RangeError(`cannot declare event "${name}": "version" is ${shown(version)}, wanted a whole number from 1`)
  return { name, version, schema, key, upcast }
}

/**
 * Checks data that is about to be published.
 *
 * @throws {EventError} `ERR_EVENT_INVALID`, naming each field
 */
export async function checkEventData<E extends EventType>(type: E, data: unknown): Promise<EventData<E>> {
  const result = await validate(type.schema, data)
  if (!result.ok)
    throw new EventError(
      'ERR_EVENT_INVALID',
      `the data of event "${type.name}/${type.version}" does not fit its schema: ${describeIssues(result.issues)}`,
    )
  return result.value as EventData<E>
}

/**
 * The data of a received envelope, upcast to the version this program knows and checked.
 *
 * @throws {EventError} `ERR_EVENT_VERSION_UNKNOWN` for a newer version, `ERR_EVENT_UPCAST_MISSING`, `ERR_EVENT_UPCAST_FAILED`,
 *   `ERR_EVENT_INVALID`. None of them gets better by trying again.
 */
export async function readEvent<E extends EventType>(type: E, envelope: Envelope): Promise<EventData<E>> {
  const version = schemaVersion(envelope)
  if (version > type.version) {
    throw new EventError(
      'ERR_EVENT_VERSION_UNKNOWN',
      `event "${type.name}" came in version ${version}, this consumer knows up to ${type.version}; deploy the consumer first, then redrive`,
    )
  }
  return checkEventData(type, version === type.version ? envelope.data : await upcastFrom(type, version, envelope.data))
}

async function upcastFrom(type: EventType, version: number, data: unknown): Promise<unknown> {
  let current = data
  for (let from = version; from < type.version; from += 1) {
    const step = type.upcast[from]
    if (!step)
      throw new EventError(
        'ERR_EVENT_UPCAST_MISSING',
        `event "${type.name}" came in version ${version} and has no upcast from ${from} to ${from + 1}`,
      )
    try {
      current = await step(current)
    } catch (cause) {
      throw new EventError('ERR_EVENT_UPCAST_FAILED', `the upcast of event "${type.name}" from ${from} to ${from + 1} threw`, { cause })
    }
  }
  return current
}
