import { mixed } from './balance-hash.ts'

/** Points of endpoints on a circle of 32-bit numbers. */
export interface HashRing {
  /** How many there are. */
  readonly points: number
  /**
   * Gives `slot` so many points. Its first points stay where they are, and nobody else's move. Takes time in how many come or go.
   *
   * @param name two numbers that tell the endpoint from others, the same in every process
   */
  resize(slot: number, name: readonly [number, number], points: number): void
  /** The first point at or after `hash`; -1 when there is none. Takes the same time however many there are. */
  after(hash: number): number
  /** The point that follows, around the circle. */
  following(point: number): number
  slotOf(point: number): number
}

/** Where no point is. */
const none = -1
/** Places behind the last one, for points that are pushed there. */
const spare = 256

/**
 * A ring without points: a sorted array with gaps. A point stands where its hash says, or a few places later when others stand there, always
 * in order. Finding one is an index and a short walk to the right, mostly within one line of the processor's cache; adding one pushes
 * those behind it to the next gap.
 *
 * @see Karger and others, "Consistent Hashing and Random Trees" (1997); Amble and Knuth, "Ordered Hash Tables" (1974)
 */
export function hashRing(): HashRing {
  let bits = 6
  let row = emptyRow(bits)
  let points = 0
  const counts = new Map<number, number>()

  /** Twice as many places; the points keep their order. */
  function widen(): void {
    const old = row
    bits += 1
    row = emptyRow(bits)
    for (let place = 0; place < old.places; place += 1) {
      const slot = old.slotAt(place)
      // Half as full as before, a row has always room behind its end.
      if (slot !== none) row.insert(slot, old.hashAt(place))
    }
  }
  function add(slot: number, hash: number): void {
    // Up to four fifths full: walks of some ten places, which is a line or two of the cache, in half the memory.
    if (points * 1.25 >= 2 ** bits) widen()
    while (!row.insert(slot, hash)) widen()
    points += 1
  }

  return {
    get points() {
      return points
    },
    resize(slot, [first, second], wanted) {
      const had = counts.get(slot) ?? 0
      for (let index = had; index < wanted; index += 1) add(slot, hashOfPoint(first, second, index))
      for (let index = had - 1; index >= wanted; index -= 1) {
        row.remove(slot, hashOfPoint(first, second, index))
        points -= 1
      }
      if (wanted > 0) counts.set(slot, wanted)
      else counts.delete(slot)
    },
    after(hash) {
      if (points === 0) return none
      const place = row.firstFrom(row.homeOf(hash), hash)
      return place === none ? row.firstFrom(0, 0) : place
    },
    following(point) {
      const place = row.firstFrom(point + 1, 0)
      return place === none ? row.firstFrom(0, 0) : place
    },
    slotOf: (point) => row.slotAt(point),
  }
}

/** Where a slot's points are follows from its name alone: all processes agree, and a point is found again to be taken off. */
export function hashOfPoint(first: number, second: number, index: number): number {
  return mixed(mixed(first + Math.imul(index, 0x9e3779b9)) + second)
}

/** Places for points, 2 to the power of `bits` and some behind them. Hash and slot of a place stand side by side. */
function emptyRow(bits: number) {
  const places = 2 ** bits + spare
  const cells = new Int32Array(places * 2).fill(none)
  const shift = 32 - bits
  const homeOf = (hash: number) => hash >>> shift
  const hashAt = (place: number) => (cells[place * 2] ?? 0) >>> 0
  const slotAt = (place: number) => cells[place * 2 + 1] ?? none

  function put(place: number, hash: number, slot: number): void {
    cells[place * 2] = hash
    cells[place * 2 + 1] = slot
  }
  /** The first point from `place` on whose hash is at least `hash`. */
  function firstFrom(place: number, hash: number): number {
    for (let at = place; at < places; at += 1) if (slotAt(at) !== none && hashAt(at) >= hash) return at
    return none
  }

  return {
    places,
    homeOf,
    hashAt,
    slotAt,
    firstFrom,
    /** False when there is no gap up to the end. */
    insert(slot: number, hash: number): boolean {
      let place = homeOf(hash)
      while (slotAt(place) !== none && hashAt(place) <= hash) place += 1
      let gap = place
      while (gap < places && slotAt(gap) !== none) gap += 1
      if (gap >= places) return false
      cells.copyWithin(place * 2 + 2, place * 2, gap * 2)
      put(place, hash, slot)
      return true
    },
    remove(slot: number, hash: number): void {
      let place = firstFrom(homeOf(hash), hash)
      while (place !== none && hashAt(place) === hash && slotAt(place) !== slot) place += 1
      if (place === none || slotAt(place) !== slot) throw new Error(`cannot take slot ${slot} off the ring: it has no point at ${hash}`)
      // Those that were pushed away from home may come one place nearer.
      let end = place + 1
      while (end < places && slotAt(end) !== none && homeOf(hashAt(end)) < end) end += 1
      cells.copyWithin(place * 2, place * 2 + 2, end * 2)
      put(end - 1, none, none)
    },
  }
}
