/** Into how many partitions the keys of a group are divided: also the most members of a group that get work. */
export const PARTITIONS = 16

/** Who has a partition; `undefined`: nobody. */
export interface Holding {
  readonly partition: number
  readonly member: string | undefined
}

export interface Assignment {
  readonly release: readonly number[]
  readonly take: readonly number[]
}

/** The partition of a key: the same in every process. FNV-1a over UTF-16 code units. */
export function partitionOf(subject: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < subject.length; index += 1) hash = Math.imul(hash ^ subject.charCodeAt(index), 0x01000193)
  return (hash >>> 0) % PARTITIONS
}

/**
 * What `me` should do for the partitions to be shared evenly: give back what is above its share, or take what nobody alive
 * holds up to its share. Never takes from the living, so one partition never has two holders. When every member follows
 * this, in any order, all partitions are held after two rounds.
 */
export function assign(holdings: readonly Holding[], alive: readonly string[], me: string): Assignment {
  const members = [...alive].sort()
  const rank = members.indexOf(me)
  if (rank < 0) throw new RangeError(`cannot assign partitions: "${me}" is not among the members`)
  const share = Math.floor(holdings.length / members.length) + (rank < holdings.length % members.length ? 1 : 0)
  const mine = holdings.filter(({ member }) => member === me)
  const free = holdings.filter(({ member }) => member === undefined || !members.includes(member))
  return {
    release: mine.slice(share).map(({ partition }) => partition),
    take: free.slice(0, Math.max(0, share - mine.length)).map(({ partition }) => partition),
  }
}
