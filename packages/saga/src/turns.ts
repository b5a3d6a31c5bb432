/** Who is next, of things that wait for one of a few slots. Knows neither time nor promises. */
export interface Turns<T> {
  /** Puts it at the end of the line of its kind. */
  add(one: T): void
  /** The next that may have a slot, which it holds until {@link Turns.ended}; `undefined` when there is none. */
  next(): T | undefined
  /** Gives its slot back. */
  ended(one: T): void
  /** How many stand in line. */
  waiting(): number
  /** Empties the lines. Slots stay with those that hold them. */
  clear(): void
}

export interface TurnsOptions<T> {
  /** How many slots there are, from 1. */
  readonly concurrency: number
  /** The kind of a thing, and how many of the kind may hold a slot at once; `undefined`: as many as there are slots. */
  readonly kindOf: (one: T) => { readonly name: string; readonly most: number | undefined }
}

/** Things of one kind. */
interface Kind<T> {
  readonly line: Line<T>
  readonly most: number
  holding: number
}

/**
 * Creates turns. Kinds take turns, however long their lines are, and each line is first come, first served: a thing that gets in line anew
 * for each of its steps has one when everything that stood there before it has had one.
 *
 * @see Nagle, "On Packet Switches With Infinite Storage", RFC 970, 1985: a line for each source, served in turns
 */
export function takingTurns<T>({ concurrency, kindOf }: TurnsOptions<T>): Turns<T> {
  const kinds = new Map<string, Kind<T>>()
  /** In the order in which they may have the next slot. */
  let order: Kind<T>[] = []
  let holding = 0
  let waiting = 0

  function kindFor(one: T): Kind<T> {
    const { name, most = concurrency } = kindOf(one)
    const known = kinds.get(name)
    if (known) return known
    const kind: Kind<T> = { line: emptyLine(), most, holding: 0 }
    kinds.set(name, kind)
    // It has waited longest: it never had one.
    order.unshift(kind)
    return kind
  }

  return {
    add(one) {
      kindFor(one).line.push(one)
      waiting += 1
    },
    next() {
      if (waiting === 0 || holding >= concurrency) return undefined
      const at = order.findIndex(({ line, most, holding }) => line.size() > 0 && holding < most)
      const kind = order[at]
      if (!kind) return undefined
      if (order.length > 1) order = [...order.slice(0, at), ...order.slice(at + 1), kind]
      kind.holding += 1
      holding += 1
      waiting -= 1
      return kind.line.shift()
    },
    ended(one) {
      kindFor(one).holding -= 1
      holding -= 1
    },
    waiting: () => waiting,
    clear() {
      for (const { line } of kinds.values()) line.clear()
      waiting = 0
    },
  }
}

interface Line<T> {
  push(one: T): void
  shift(): T | undefined
  size(): number
  clear(): void
}

/** What has left is cut off in large pieces: neither an array's `shift` nor a Set keeps its pace with 100,000 in line. */
function emptyLine<T>(): Line<T> {
  let items: (T | undefined)[] = []
  let head = 0
  return {
    push: (one) => void items.push(one),
    shift() {
      const one = items[head]
      items[head] = undefined
      head += 1
      if (head < 1_024 || head * 2 < items.length) return one
      items = items.slice(head)
      head = 0
      return one
    },
    size: () => items.length - head,
    clear() {
      items = []
      head = 0
    },
  }
}
