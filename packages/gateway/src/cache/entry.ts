import type { HeaderList } from '../headers.ts'
import { headerOf, headerValues, withoutHeaders } from '../headers.ts'
import { type Directives, mostSeconds, secondsOf } from './cache-control.ts'
import { httpDate } from './http-date.ts'

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
  // Of several the first counts; one that is too large to read is very old.
  const age = headerOf(headers, 'age')?.split(',')[0]?.trim() ?? ''
  const told = /^\d+$/.test(age) ? Math.min(Number(age), mostSeconds) * 1_000 : 0
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
  return value === undefined ? undefined : httpDate(value)
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

/** What a request has of the headers that this answer varies by: requests alike in it can do with the same answer. */
export function variantOf({ varying }: Entry, request: HeaderList): string {
  return [...varying.keys()].map((name) => normalised(request, name)).join('\n')
}

function normalised(headers: HeaderList, name: string): string {
  // A pattern that takes blanks with a comma would look through a long run of them from each on.
  return headerValues(headers, name)
    .flatMap((value) => value.split(',').map((part) => part.trim()))
    .join(',')
}

/** What a 304 does not change: it says how the body that is stored here is coded, framed and known. @see RFC 9111, section 3.2 */
const KEPT_AT_304 = /^(?:content-encoding|content-type|content-range|content-length|etag)$/

/** Whether a 304 is about this answer: one that names another tag says that something else still holds. @see RFC 9111, section 4.3.4 */
export function isAbout(entry: Entry, headers: HeaderList): boolean {
  const [own, said] = [headerOf(entry.headers, 'etag'), headerOf(headers, 'etag')]
  return own === undefined || said === undefined || weak(own) === weak(said)
}

/** A tag without its mark of weakness. @see RFC 9110, section 8.8.3.2 */
export function weak(tag: string): string {
  return tag.replace(/^W\//, '')
}

/** The headers of an entry after the service has said that it still holds. */
export function mergedHeaders(entry: Entry, headers: HeaderList): HeaderList {
  const isSaid = (name: string) => !KEPT_AT_304.test(name) && name !== 'age'
  const own = withoutHeaders(headers, (name) => !isSaid(name))
  const said = new Set(own.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()))
  return [...withoutHeaders(entry.headers, (name) => said.has(name)), ...own]
}
