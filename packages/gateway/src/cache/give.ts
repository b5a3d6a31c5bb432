import type { GatewayRequest, GatewayResponse } from '../exchange.ts'
import { type HeaderList, headerOf, headerValues } from '../headers.ts'
import { ageMs, dateOf, type Entry, weak } from './entry.ts'

/** What stands in a 304 besides the cache's own; a cookie is never stored, but may have come just now. @see RFC 9110, section 15.4.5 */
const IN_304 = /^(?:cache-control|content-location|date|etag|expires|vary|last-modified|set-cookie|access-control-.*|x-.*)$/

/**
 * A stored answer for a request: 304 when the client has it already.
 *
 * @param now in `world.monotonic()` time
 */
export function give({ method, headers: asked }: Pick<GatewayRequest, 'method' | 'headers'>, entry: Entry, now: number): GatewayResponse {
  const { status, headers, body } = entry
  const age = ['age', String(Math.floor(ageMs(entry, now) / 1_000))]
  if (status === 200 && isKnown(asked, headers)) {
    const kept = headers.flatMap((name, index) =>
      index % 2 === 0 && IN_304.test(name.toLowerCase()) ? [name, headers[index + 1] ?? ''] : [],
    )
    return { status: 304, headers: [...kept, ...age] }
  }
  if (method !== 'HEAD') return { status, headers: [...headers, ...age], body }
  const length = headerOf(headers, 'content-length') === undefined ? ['content-length', String(body.length)] : []
  return { status, headers: [...headers, ...age, ...length] }
}

/** Whether a client that asks on a condition has the answer already. @see RFC 9110, section 13.2.2 */
function isKnown(asked: HeaderList, stored: HeaderList): boolean {
  const tags = headerValues(asked, 'if-none-match').join(',')
  if (tags !== '') {
    const own = headerOf(stored, 'etag')
    return tags.trim() === '*' || (own !== undefined && tagsOf(tags).includes(weak(own)))
  }
  const [since, changed] = [dateOf(asked, 'if-modified-since'), dateOf(stored, 'last-modified')]
  return since !== undefined && changed !== undefined && changed <= since
}

/** A tag may have commas in it. */
function tagsOf(list: string): string[] {
  return [...list.matchAll(/(?:W\/)?("[^"]*")/g)].map(([, tag]) => tag ?? '')
}
