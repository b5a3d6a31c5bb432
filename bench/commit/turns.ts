/** How often each kind has its turn. */
const SLICES = 8

/** Transactions a second of each kind. */
export type Rates<Kind extends string> = Readonly<Record<Kind, number>>

/** One slice of a kind: how many transactions it made, in how many seconds. */
export interface Slice {
  readonly count: number
  readonly seconds: number
}

/**
 * Measures kinds against each other, in slices that take turns, and in another order each time: what one kind leaves behind is not always
 * the same one's burden.
 *
 * @param seconds of each kind, all its slices together
 */
export async function takeTurns<Kind extends string>(
  kinds: readonly Kind[],
  seconds: number,
  slice: (kind: Kind, seconds: number) => Promise<Slice>,
): Promise<Rates<Kind>> {
  const sums = new Map(kinds.map((kind) => [kind, { count: 0, seconds: 0 }]))
  for (let turn = 0; turn < SLICES; turn += 1) {
    for (let place = 0; place < kinds.length; place += 1) {
      const kind = kinds[(turn + place) % kinds.length]
      const sum = kind && sums.get(kind)
      if (!sum) continue
      const { count, seconds: took } = await slice(kind, seconds / SLICES)
      sum.count += count
      sum.seconds += took
    }
  }
  // A rate for each of the kinds.
  return Object.fromEntries([...sums].map(([kind, sum]) => [kind, sum.count / sum.seconds])) as Rates<Kind>
}

/** `clients` that write one transaction after the other. */
export async function writeFor(seconds: number, clients: number, write: (client: number) => Promise<unknown>): Promise<Slice> {
  let count = 0
  const startedAt = performance.now()
  const until = startedAt + seconds * 1_000
  const client = async (index: number) => {
    while (performance.now() < until) {
      await write(index)
      count += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  return { count, seconds: (performance.now() - startedAt) / 1_000 }
}
