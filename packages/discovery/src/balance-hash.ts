/** Spreads a 32-bit number over all of them. @see Appleby, MurmurHash3, `fmix32`; public domain */
export function mixed(number: number): number {
  let hash = number | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** A 32-bit hash of a text, the same in every process. Not for secrets. @see FNV-1a, here over UTF-16 code units, then mixed */
export function hashOf(text: string, seed = 0x811c9dc5): number {
  let hash = seed
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return mixed(hash)
}
