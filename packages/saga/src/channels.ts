/** Where the events of a type and key are kept for the sagas of a definition. */
export function eventChannel(saga: string, event: string, key: string): string {
  return `${eventsOf(saga)}:${event}:${key}`
}

/** What such an event is known by, so that it is kept once. */
export function eventId(saga: string, id: string): string {
  return `${eventsOf(saga)}:${id}`
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
