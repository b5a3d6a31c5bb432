import type { GatewayRequest } from '../exchange.ts'
import { type HeaderList, headerOf } from '../headers.ts'
import type { Directives } from './cache-control.ts'

/** Statuses whose meaning this cache knows, so that it may keep them. 206 and 304 are parts of an answer. */
const UNDERSTOOD: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 501])

/** What is looked at. */
export interface Answered {
  readonly status: number
  readonly headers: HeaderList
  readonly control: Directives
  /** How long it says that it is fresh, milliseconds; `undefined`: it does not say so. */
  readonly saidMs: number | undefined
  /** How long an answer that does not say so is fresh. */
  readonly defaultTtlMs: number
}

/**
 * Whether an answer to a GET may be kept for others.
 *
 * @see RFC 9111, sections 3 and 3.5
 */
export function mayStore(
  request: Pick<GatewayRequest, 'headers' | 'subject'>,
  asked: Directives,
  { status, headers, control, saidMs, defaultTtlMs }: Answered,
): boolean {
  if (!UNDERSTOOD.has(status) || asked.has('no-store')) return false
  // A status that is understood is what `must-understand` asks for, and then `no-store` is for those who do not know it.
  if (control.has('no-store') && !control.has('must-understand')) return false
  if (control.has('private')) return false
  // It is for one client, whatever else is said: a mistake that would hand one's session to others.
  if (headerOf(headers, 'set-cookie') !== undefined) return false
  if (!isFor(request, control)) return false
  // 302 and 307 are kept only by what they say themselves.
  if ((status === 302 || status === 307) && saidMs === undefined) return false
  return lifetimeOf(request, { status, saidMs, defaultTtlMs }) > 0 || isValidated(headers)
}

/**
 * How long an answer is fresh, milliseconds. The default is for what is good, and for who has no cookie: a page of a session, or a refusal that
 * one request provoked, would go to everyone.
 */
export function lifetimeOf(
  { headers }: Pick<GatewayRequest, 'headers'>,
  { status, saidMs, defaultTtlMs }: Pick<Answered, 'status' | 'saidMs' | 'defaultTtlMs'>,
): number {
  return saidMs ?? (status < 400 && headerOf(headers, 'cookie') === undefined ? defaultTtlMs : 0)
}

/** Whether an answer may go from one request to another: who says who they are shares only what is said to be for all. */
export function isFor(request: Pick<GatewayRequest, 'headers' | 'subject'>, control: Directives): boolean {
  return !isPersonal(request) || control.has('public') || control.has('s-maxage') || control.has('must-revalidate')
}

/** Sent with who one is: a token, or what an authenticating plugin before this one found out. */
export function isPersonal({ headers, subject }: Pick<GatewayRequest, 'headers' | 'subject'>): boolean {
  return subject !== undefined || headerOf(headers, 'authorization') !== undefined
}

/** Whether the service can be asked if it still holds. */
export function isValidated(headers: HeaderList): boolean {
  return headerOf(headers, 'etag') !== undefined || headerOf(headers, 'last-modified') !== undefined
}
