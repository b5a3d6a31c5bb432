/** The group of the events that a service's bus did not take. */
export function relayGroup(service: string): string {
  return `${service}/relay`
}
