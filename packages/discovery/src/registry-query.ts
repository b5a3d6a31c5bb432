import { parseDuration } from './duration.ts'
import { badRequest } from './fields.ts'
import { readFilter } from './registry-filter.ts'

/** As Consul: there without a value means true. */
export function flagOf(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  if (value === null || value === 'false' || value === '0') return false
  if (value === '' || value === 'true' || value === '1') return true
  throw badRequest(`"${name}" is "${value}", wanted true or false`)
}

/** The index a blocking query waits at; 0: it does not wait. */
export function indexAsked(query: URLSearchParams): number {
  const text = query.get('index')
  if (text === null || text === '') return 0
  if (/^\d{1,20}$/.test(text)) return Number(text)
  throw badRequest(`"index" is "${text}", wanted a whole number, as X-Consul-Index gave it`)
}

const defaultWaitMs = 300_000

/** How long a blocking query waits, milliseconds: five minutes unless it says otherwise, at most `longestMs`. */
export function waitAsked(query: URLSearchParams, longestMs: number): number {
  const text = query.get('wait')
  const waitMs = text === null || text === '' ? defaultWaitMs : parseDuration(text)
  if (waitMs === undefined) throw badRequest(`"wait" is "${text}", wanted a duration, as in "10s", "500ms" or "1m30s"`)
  return Math.min(waitMs === 0 ? defaultWaitMs : waitMs, longestMs)
}

/** @throws {DiscoveryError} for what would choose other rows than it asks for, were it passed over */
export function assertSupported(query: URLSearchParams): void {
  if (query.has('node-meta')) throw badRequest('"node-meta" is not supported by this registry; leave it out')
  const datacenter = query.get('dc')
  if (datacenter && datacenter !== 'dc1') throw badRequest(`"dc" is "${datacenter}", wanted "dc1": this registry is one datacenter`)
}

/** The rows that the `filter` of a query lets through; a map's values are its rows. All, when there is none. */
export function filtered(query: URLSearchParams, rows: unknown): unknown {
  const text = query.get('filter')
  if (!text) return rows
  const filter = readFilter(text)
  if (Array.isArray(rows)) return rows.filter(filter)
  return Object.fromEntries(Object.entries(rows ?? {}).filter(([, row]) => filter(row)))
}
