import type { Envelope } from '@banyan/core'
import { fingerprintOf } from './json.ts'

/** Where the events of a type and key are kept for the sagas of a definition. */
export function eventChannel(saga: string, event: string, key: string): string {
  return `${eventsOf(saga)}:${event}:${key}`
}

/** What such an event is known by, so that it is kept once. */
export function eventId(saga: string, id: string): string {
  return `${eventsOf(saga)}:${id}`
}

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/**
 * What an event from the bus is known by: as in the inbox (decisions/040), an id that is no UUID is unique within its source alone. Such an
 * id may be of any length, so a digest stands for the two.
 */
export function busEventId({ id, source }: Pick<Envelope, 'id' | 'source'>): string {
  return UUID.test(id) ? id : fingerprintOf(JSON.stringify([source, id]))
}

/** Where what only one step of one saga waits for is kept: a person's answer, a child's end. `key`: that of the step, see `stepKey`. */
export function stepChannel(key: string): string {
  return `step:${key}`
}

/**
 * A name with colons says how long it is: else "shop" with "eu:7" and "shop:eu" with "7" were one, and the second event would be dropped.
 * A name without is told from what follows, as an event's has none either, and keeps the form that it always had: sagas that wait under it,
 * and signals that lie there, are found. Under a name with colons a saga that waited before this form finds its event when its own time
 * is over, and a signal that was kept before is not found.
 */
function eventsOf(saga: string): string {
  return saga.includes(':') ? `events:${saga.length}:${saga}` : `event:${saga}`
}
