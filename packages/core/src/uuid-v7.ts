/** The codes of the two digits of each byte: the first in the low half, the second above it. */
const HEX = Uint16Array.from({ length: 256 }, (_, byte) => {
  const digits = byte.toString(16).padStart(2, '0')
  return digits.charCodeAt(0) | (digits.charCodeAt(1) << 8)
})

/** Where each byte of an id stands in its text. */
const PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const

/** The codes of the last id. Its time stays as it is for all ids of a millisecond. No `Buffer`: this runs in browsers too. */
const codes = Array.from('00000000-0000-7000-8000-000000000000', (digit) => digit.charCodeAt(0))
let lastMs = 0

/**
 * A UUID version 7 from a time and ten random bytes.
 *
 * Made of one piece: a text put together of pieces stays a tree of them, and whoever reads it, as JSON and SQLite do, walks that each time.
 *
 * @param timeMs milliseconds since 1970, 48 bits
 * @param random at least ten bytes
 * @see RFC 9562, section 5.7
 */
export function uuidV7(timeMs: number, random: Uint8Array): string {
  if (timeMs !== lastMs) writeTime(timeMs)
  put(6, 0x70 | ((random[0] ?? 0) & 0x0f))
  put(7, random[1] ?? 0)
  put(8, 0x80 | ((random[2] ?? 0) & 0x3f))
  for (let index = 3; index < 10; index += 1) put(index + 6, random[index] ?? 0)
  return String.fromCharCode(...codes)
}

function writeTime(ms: number): void {
  lastMs = ms
  let left = Math.floor(ms)
  for (let index = 5; index >= 0; index -= 1) {
    put(index, left % 256)
    left = Math.floor(left / 256)
  }
}

function put(index: number, byte: number): void {
  const place = PLACES[index] ?? 0
  const digits = HEX[byte] ?? 0
  codes[place] = digits & 0xff
  codes[place + 1] = digits >> 8
}
