import type { HeaderList } from '../headers.ts'
import { type Entry, fits, variantOf } from './entry.ts'

/** Answers by the request they are for, as many as fit; those that were not asked for the longest go first. */
export interface CacheStore {
  /** The answer for a request with these headers. */
  find(key: string, request: HeaderList): Entry | undefined
  /** Whether there is any answer of this key, for other headers perhaps. */
  has(key: string): boolean
  /** What tells requests of this key apart, as far as its answers have said so. */
  variant(key: string, request: HeaderList): string
  put(key: string, entry: Entry, request: HeaderList): void
  /** All answers of a key. */
  remove(key: string): void
  /** One answer, if it is still there. */
  drop(key: string, entry: Entry): void
  readonly bytes: number
}

/** Of one key; more would be a header that says who asks. */
const mostVariants = 16

/** What an entry takes besides its body and headers, about, bytes. */
const overhead = 512

/** Creates a {@link CacheStore} of at most `maxBytes`. */
export function cacheStore(maxBytes: number): CacheStore {
  /** In the order of their last use. */
  const entries = new Map<string, readonly Entry[]>()
  let bytes = 0

  function remove(key: string): void {
    const found = entries.get(key)
    if (!found) return
    entries.delete(key)
    for (const entry of found) bytes -= sizeOf(key, entry)
  }

  return {
    get bytes() {
      return bytes
    },
    has: (key) => entries.has(key),
    find(key, request) {
      const found = entries.get(key)
      if (!found) return undefined
      entries.delete(key)
      entries.set(key, found)
      return found.find((entry) => fits(entry, request))
    },
    variant(key, request) {
      const newest = entries.get(key)?.at(-1)
      return newest ? variantOf(newest, request) : ''
    },
    put(key, entry, request) {
      // What another answer said to vary by may be another set of headers: those it is in place of go.
      const others = (entries.get(key) ?? []).filter((other) => !fits(other, request)).slice(-(mostVariants - 1))
      remove(key)
      const all = [...others, entry]
      entries.set(key, all)
      for (const each of all) bytes += sizeOf(key, each)
      for (const oldest of entries.keys()) {
        if (bytes <= maxBytes) break
        remove(oldest)
      }
    },
    remove,
    drop(key, entry) {
      const found = entries.get(key)
      if (!found?.includes(entry)) return
      bytes -= sizeOf(key, entry)
      if (found.length === 1) entries.delete(key)
      else
        entries.set(
          key,
          found.filter((other) => other !== entry),
        )
    },
  }
}

function sizeOf(key: string, { headers, body, varying }: Entry): number {
  let text = key.length
  for (const each of headers) text += each.length
  for (const [name, value] of varying) text += name.length + value.length
  return overhead + text + body.length
}
