import { type Directives, secondsOf } from './cache-control.ts'
import { ageMs, type Entry } from './entry.ts'

/** What is done with a stored answer that fits a request. */
export type Verdict =
  /** It is given. */
  | 'fresh'
  /** It is given, and the service is asked behind that. */
  | 'stale, asked later'
  /** The service is asked first. */
  | 'ask'

/**
 * Whether a stored answer may be given.
 *
 * @param asked the directives of the request
 * @param now in `world.monotonic()` time
 * @see RFC 9111, sections 4.2, 4.2.4 and 5.2; RFC 5861, section 3
 */
export function judge(entry: Entry, asked: Directives, now: number): Verdict {
  const { control, lifetimeMs } = entry
  if (control.has('no-cache') || asked.has('no-cache')) return 'ask'
  const age = ageMs(entry, now)
  const most = secondsOf(asked, 'max-age', 0)
  if (most !== undefined && age > most * 1_000) return 'ask'
  const rest = lifetimeMs - age
  if (rest > 0 && rest >= (secondsOf(asked, 'min-fresh', Number.POSITIVE_INFINITY) ?? 0) * 1_000) return 'fresh'
  if (asked.has('min-fresh') || mustNotBeStale(control)) return 'ask'
  if (asked.has('max-stale') && -rest <= staleFor(asked, 'max-stale', Number.POSITIVE_INFINITY)) return 'fresh'
  return -rest < staleFor(control, 'stale-while-revalidate', 0) ? 'stale, asked later' : 'ask'
}

/** Whether a stored answer may be given although the service failed. @see RFC 5861, section 4 */
export function mayStandIn(entry: Entry, asked: Directives, now: number, defaultMs: number): boolean {
  if (mustNotBeStale(entry.control) || entry.control.has('no-cache') || asked.has('no-cache')) return false
  const staleMs = ageMs(entry, now) - entry.lifetimeMs
  return staleMs < Math.max(defaultMs, staleFor(entry.control, 'stale-if-error', 0), staleFor(asked, 'stale-if-error', 0))
}

function mustNotBeStale(control: Directives): boolean {
  return control.has('must-revalidate') || control.has('proxy-revalidate') || control.has('s-maxage')
}

/** Milliseconds. A `max-stale` without a value takes any. */
function staleFor(directives: Directives, name: string, without: number): number {
  if (directives.get(name) === '') return without
  return (secondsOf(directives, name, 0) ?? 0) * 1_000
}
