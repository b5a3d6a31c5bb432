/** Where the events of a type and key are kept for the sagas of a definition. */
export function eventChannel(saga: string, event: string, key: string): string {
  return `event:${saga}:${event}:${key}`
}

/** Where what only one step of one saga waits for is kept: a person's answer, a child's end. `key`: that of the step, see `stepKey`. */
export function stepChannel(key: string): string {
  return `step:${key}`
}
