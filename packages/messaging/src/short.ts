import { createHash } from 'node:crypto'

/** What stands for a text has one more: it is never itself the text of another. */
const LONGEST = 500
/** Hexadecimal digits of SHA-256. */
const DIGEST = 64

/**
 * A text as stores look for it: keys and ids as they are up to 500 characters; of a longer one the beginning and its SHA-256. An entry of
 * an index has a bound (2,704 bytes in PostgreSQL), and whoever publishes does not know it.
 */
export function short(text: string): string {
  if (text.length <= LONGEST) return text
  const digest = createHash('sha256').update(text).digest('hex')
  // Well formed, so that a cut through a pair of surrogates reads the same from every store.
  return text.slice(0, LONGEST + 1 - DIGEST).toWellFormed() + digest
}
