/** Random numbers in [0, 1), from a seed. */
export type Random = () => number

/** A whole number from 0 up to and without `limit`. */
export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit)
}

export function oneOf<T>(random: Random, values: readonly T[]): T {
  // Callers give at least one.
  return values[below(random, values.length)] as T
}

/** Bytes that parsers trip over, and a few that they do not. */
const AWKWARD = [0, 9, 10, 13, 32, 35, 37, 44, 46, 47, 48, 49, 58, 59, 61, 63, 92, 97, 102, 127, 128, 255]

function awkward(random: Random): string {
  return String.fromCharCode(random() < 0.8 ? oneOf(random, AWKWARD) : below(random, 256))
}

/** Raw bytes, one character each. */
export function rawBytes(random: Random, most: number): string {
  return Array.from({ length: below(random, most) }, () => awkward(random)).join('')
}

/** The text with up to three small faults: a byte put in, left out, or in the place of another; a piece twice, or moved. */
export function damaged(random: Random, text: string): string {
  let bytes = text
  for (let faults = below(random, 4); faults > 0; faults -= 1) {
    const at = below(random, bytes.length + 1)
    const to = Math.min(bytes.length, at + 1 + below(random, 8))
    const [before, piece, after] = [bytes.slice(0, at), bytes.slice(at, to), bytes.slice(to)]
    bytes = oneOf(random, [
      () => before + awkward(random) + piece + after,
      () => before + after,
      () => before + awkward(random) + piece.slice(1) + after,
      () => before + piece + piece + after,
      () => piece + before + after,
    ])()
  }
  return bytes
}

/** The text in pieces, as they may come from a socket. */
export function pieces(random: Random, text: string): string[] {
  const cuts = Array.from({ length: below(random, 6) }, () => below(random, text.length + 1)).sort((a, b) => a - b)
  return [0, ...cuts].map((from, index) => text.slice(from, cuts[index] ?? text.length))
}
