import type { HeaderList } from '../headers.ts'
import { headerOf, headerValues, withoutHeaders } from '../headers.ts'
import { cacheControlOf, type Directives, secondsOf } from './cache-control.ts'

/** A stored answer. Never changed. */
export interface Entry {
  readonly status: number
  /** Without `Age`, which is counted anew each time. */
  readonly headers: HeaderList
  readonly body: Uint8Array
  readonly control: Directives
  /** What the request had of the headers that `Vary` names, by lower-case name. */
  readonly varying: ReadonlyMap<string, string>
  /** How old it was when it came, milliseconds. */
  readonly initialAgeMs: number
  /** When it came, in `world.monotonic()` time. */
  readonly receivedAt: number
  /** How long it is fresh, counted as its age is, milliseconds. */
  readonly lifetimeMs: number
}

/** When an answer was asked for and came. */
export interface Times {
  /** Both in `world.monotonic()` time. */
  readonly askedAt: number
  readonly receivedAt: number
  /** The time of day when it came, milliseconds since 1970. */
  readonly now: number
}

/**
 * How old an answer was when it came, milliseconds.
 *
 * @see RFC 9111, section 4.2.3
 */
export function initialAgeMs(headers: HeaderList, { askedAt, receivedAt, now }: Times): number {
  const date = dateOf(headers, 'date')
  const apparentMs = date === undefined ? 0 : Math.max(0, now - date)
  const age = headerOf(headers, 'age')?.trim() ?? ''
  const told = /^\d{1,10}$/.test(age) ? Number(age) * 1_000 : 0
  // A Date has whole seconds: what came at once would seem to be older than it is.
  return Math.max(apparentMs < 1_000 ? 0 : apparentMs, told + (receivedAt - askedAt))
}

/**
 * How long an answer is fresh in a shared cache, milliseconds; `undefined` when it does not say so. What says it wrongly is stale.
 *
 * @see RFC 9111, section 4.2.1
 */
export function lifetimeMs(headers: HeaderList, control: Directives, now: number): number | undefined {
  const seconds = secondsOf(control, 's-maxage', 0) ?? secondsOf(control, 'max-age', 0)
  if (seconds !== undefined) return seconds * 1_000
  const expires = headerValues(headers, 'expires')
  if (expires.length === 0) return undefined
  const at = dateOf(headers, 'expires')
  return at === undefined || expires.length > 1 ? 0 : Math.max(0, at - (dateOf(headers, 'date') ?? now))
}

/** How old a stored answer is, milliseconds. */
export function ageMs({ initialAgeMs: before, receivedAt }: Entry, monotonic: number): number {
  return before + (monotonic - receivedAt)
}

/** Where a header is a date of HTTP, milliseconds since 1970. */
export function dateOf(headers: HeaderList, name: string): number | undefined {
  const value = headerOf(headers, name)
  // Dates of HTTP end so; what else Date.parse takes would be in the time zone of this machine.
  if (value === undefined || !/ GMT$/.test(value)) return undefined
  const ms = Date.parse(value)
  return Number.isNaN(ms) ? undefined : ms
}

/** What the request has of the headers that `Vary` names; `undefined` for `Vary: *`, which no other request is like. */
export function varyingOf(answer: HeaderList, request: HeaderList): ReadonlyMap<string, string> | undefined {
  const names = headerValues(answer, 'vary').flatMap((value) => value.toLowerCase().split(','))
  const wanted = [...new Set(names.map((name) => name.trim()).filter((name) => name !== ''))]
  if (wanted.includes('*')) return undefined
  return new Map(wanted.map((name) => [name, normalised(request, name)]))
}

/** Whether a stored answer is for a request with these headers. */
export function fits({ varying }: Entry, request: HeaderList): boolean {
  for (const [name, value] of varying) if (normalised(request, name) !== value) return false
  return true
}

function normalised(headers: HeaderList, name: string): string {
  return headerValues(headers, name)
    .map((value) => value.trim().replace(/\s*,\s*/g, ','))
    .join(',')
}

/** What a 304 does not change: it says how the body that is stored here is coded, framed and known. @see RFC 9111, section 3.2 */
const KEPT_AT_304 = /^(?:content-encoding|content-type|content-range|content-length|etag)$/

/** The entry after the service has said that it still holds. */
export function freshened(entry: Entry, headers: HeaderList, times: Times, defaultTtlMs: number): Entry {
  const own: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const lowerCase = name.toLowerCase()
    if (KEPT_AT_304.test(lowerCase) || lowerCase === 'age') continue
    own.push(name, headers[index + 1] ?? '')
  }
  const said = new Set(own.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()))
  const merged = [...withoutHeaders(entry.headers, (name) => said.has(name)), ...own]
  const control = cacheControlOf(merged)
  return {
    ...entry,
    headers: merged,
    control,
    initialAgeMs: initialAgeMs(headers, times),
    receivedAt: times.receivedAt,
    lifetimeMs: lifetimeMs(merged, control, times.now) ?? defaultTtlMs,
  }
}
