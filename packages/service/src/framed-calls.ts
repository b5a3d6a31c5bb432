/**
 * The calls of a connection by their numbers. A `Map` would do, but for one thing: each time it has had its fill of deleted keys it moves into a new
 * table, and the old one points to the new one and to all that was in it. Once such a table has become old itself, all later ones and
 * nearly all calls live until the next full collection: with 100,000 calls a second that was a tenth of a client's time.
 */
export class CallTable<T> {
  /** Open addressing with linear probing: a call stands where its number hashes to, or in the next place that is free. */
  #numbers: Uint32Array = new Uint32Array(16)
  #calls: (T | undefined)[] = new Array(16).fill(undefined)
  #mask = 15
  #size = 0

  get size(): number {
    return this.#size
  }

  get(number: number): T | undefined {
    return this.#calls[this.#placeOf(number)]
  }

  /** Puts a call in; there must be none of this number. */
  add(number: number, call: T): void {
    if (this.#size * 2 > this.#mask) this.#widen()
    const place = this.#placeOf(number)
    this.#numbers[place] = number
    this.#calls[place] = call
    this.#size += 1
  }

  /** Takes a call out; nothing happens where there is none of this number. */
  delete(number: number): void {
    let gap = this.#placeOf(number)
    if (this.#calls[gap] === undefined) return
    this.#size -= 1
    // Those behind it that it had pushed away come nearer, so that no search ends at a gap too early.
    for (let place = (gap + 1) & this.#mask; this.#calls[place] !== undefined; place = (place + 1) & this.#mask) {
      const home = this.#homeOf(this.#numbers[place] ?? 0)
      if (((place - home) & this.#mask) < ((place - gap) & this.#mask)) continue
      this.#numbers[gap] = this.#numbers[place] ?? 0
      this.#calls[gap] = this.#calls[place]
      gap = place
    }
    this.#calls[gap] = undefined
  }

  /** All of them, in no order, as they are now. */
  values(): T[] {
    return this.#calls.filter((call) => call !== undefined)
  }

  /** Where the call stands, or would. */
  #placeOf(number: number): number {
    let place = this.#homeOf(number)
    while (this.#calls[place] !== undefined && this.#numbers[place] !== number) place = (place + 1) & this.#mask
    return place
  }

  #homeOf(number: number): number {
    // The other side chooses the numbers: they are mixed, so that no habit of its makes long searches. @see Knuth, TAOCP 3, 6.4
    return (Math.imul(number, 0x9e3779b1) >>> 8) & this.#mask
  }

  #widen(): void {
    const [numbers, calls] = [this.#numbers, this.#calls]
    const places = calls.length * 2
    this.#numbers = new Uint32Array(places)
    this.#calls = new Array(places).fill(undefined)
    this.#mask = places - 1
    this.#size = 0
    for (const [place, call] of calls.entries()) if (call !== undefined) this.add(numbers[place] ?? 0, call)
  }
}
