import type { OutgoingHttpHeaders } from 'node:http2'
import { type HeaderList, isHopByHop } from '../headers.ts'

/**
 * For sessions: a field that Node has come once goes out as often as it is said, as in HTTP/1.1. What it means twice is for whoever
 * reads it. Versions of Node that do not know this refuse to send such a head, or such trailers.
 */
export const asSaid = { strictSingleValueFields: false }

/** Headers as fields of HTTP/2: names in lower case, those about one connection left out, a name that stands several times as a list. */
export function fieldsOf(headers: HeaderList): OutgoingHttpHeaders {
  // Without members of its own: a header may be called "constructor".
  const fields: Record<string, string | string[]> = Object.create(null)
  for (let index = 0; index < headers.length; index += 2) {
    const name = (headers[index] ?? '').toLowerCase()
    if (isHopByHop(name)) continue
    const value = headers[index + 1] ?? ''
    const before = fields[name]
    fields[name] = before === undefined ? value : [before, value].flat()
  }
  return fields
}

/** Fields as they came, name by name, without those of HTTP/2 itself (`:status`). */
export function headersOf(fields: readonly string[]): HeaderList {
  const headers: string[] = []
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    if (!name.startsWith(':')) headers.push(name, fields[index + 1] ?? '')
  }
  return headers
}
