import { requestHead } from './framed-wire.ts'
import type { TransportRequest } from './transport.ts'

/** Longer heads are not kept, bytes. */
const MAX_BYTES = 1_024
/** So many are kept of a connection; then it begins anew. */
const MAX_HEADS = 256

/**
 * Remembers the heads of a connection that have been read: callers send the same few again and again, and parsing and checking a head costs more
 * than all the rest of reading a frame. Two heads are the same when all their bytes are. What `read` gives for one is given to
 * all who sent it, so it must be frozen.
 *
 * @returns what `read` gives, or gave for the same bytes: those of `content` from `start` to before `end`
 */
export function readHeads<Head>(read: (text: string) => Head): (content: Buffer, start: number, end: number) => Head {
  const known = new Map<string, Head>()
  return (content, start, end) => {
    if (end - start > MAX_BYTES) return read(content.toString('utf8', start, end))
    // A character for each byte: cheaper to make than UTF-8, and as different as the bytes are.
    const bytes = content.toString('latin1', start, end)
    const found = known.get(bytes)
    if (found !== undefined) return found
    const head = read(content.toString('utf8', start, end))
    if (known.size >= MAX_HEADS) known.clear()
    known.set(bytes, head)
    return head
  }
}

/** A head that is to be written: what stands before the body. */
type Written = { readonly method: string; readonly path: string; readonly text: string }

/** Remembers the texts of heads whose headers are shared by many requests: see `sharesHeaders`. */
export function writtenHeads(): (request: TransportRequest) => string {
  const known = new WeakMap<object, Written>()
  return (request) => {
    const { method, path, headers } = request
    const found = known.get(headers)
    if (found?.path === path && found.method === method) return found.text
    const text = requestHead(request)
    known.set(headers, { method, path, text })
    return text
  }
}
