import { type Moment, momentKey } from './explore-moment.ts'
import { movesOf } from './explore-moves.ts'
import type { Rules } from './explore-rules.ts'
import type { Move, Site } from './explore-site.ts'

/** What a search came upon. */
export interface Found {
  /** Different moments. */
  readonly moments: number
  /** Different moves between them, each really made. */
  readonly moves: number
  /** Ways from the first moment to an end, by different moves. */
  readonly schedules: number
  /** How the saga ends when nothing goes wrong: one way, or several. */
  readonly usualEnds: readonly string[]
  /** The steps that some schedule came to. */
  readonly reached: ReadonlySet<string>
  /** False: there were more moments than it was to look at. */
  readonly complete: boolean
  /** The shortest schedule that breaks a rule: of those with the fewest faults, the one with the fewest moves. */
  readonly broken: { readonly rule: string; readonly path: readonly string[] } | undefined
}

export interface SearchOptions {
  readonly site: Site
  readonly rules: Rules
  readonly first: Moment
  readonly maxMoments: number
  /** Called now and then, so that a long search lets others run. */
  readonly breathe: () => Promise<void>
}

interface Node {
  readonly moment: Moment
  readonly key: string
  /** How it was reached, without the moments on the way. */
  readonly trail: Trail | undefined
  readonly length: number
}

interface Trail {
  readonly from: Trail | undefined
  readonly by: string
}

interface Edges {
  readonly to: readonly { readonly key: string; readonly cost: 0 | 1 }[]
}

/**
 * Looks at every moment that can be reached, in the order of faults, then of length; one from which the same can happen as from
 * an earlier one is not looked at again.
 */
export async function search({ site, rules, first, maxMoments, breathe }: SearchOptions): Promise<Found> {
  const queue = byFaultsAndLength(site.faults)
  const seen = new Map<string, Edges>()
  const start: Node = { moment: first, key: momentKey(first), trail: undefined, length: 0 }
  const usualEnds = new Set<string>()
  const reached = new Set<string>()
  let moves = 0
  let broken: Found['broken']
  let next: Node | undefined = start
  for (; next && seen.size < maxMoments && !broken; next = queue.next()) {
    const node: Node = next
    if (seen.has(node.key)) continue
    if (seen.size % 512 === 511) await breathe()
    const { moment, trail } = node
    const options = await movesOf(site, moment)
    const rule = rules.onTheWay(site, moment) ?? (options.length === 0 ? rules.atTheEnd(moment) : undefined)
    if (rule !== undefined) broken = { rule, path: pathOf(trail) }
    for (const { kind, step } of site.engine.actions(moment.state)) if (kind === 'do') reached.add(site.engine.step(step).name)
    if (options.length === 0 && moment.faults === 0) usualEnds.add(moment.state.status)
    const nodes = options.map(
      (move): Node => ({ moment: move.to, key: momentKey(move.to), trail: { from: trail, by: move.id }, length: node.length + 1 }),
    )
    seen.set(node.key, { to: nodes.map(({ key }, index) => ({ key, cost: options[index]?.cost ?? 0 })) })
    moves += options.length
    for (const one of nodes) if (!seen.has(one.key)) queue.add(one)
  }
  const schedules = countSchedules(seen, start.key, site.faults)
  const complete = next === undefined && broken === undefined
  return { moments: seen.size, moves, schedules, usualEnds: [...usualEnds].sort(), reached, complete, broken }
}

function byFaultsAndLength(faults: number) {
  const buckets: Node[][][] = Array.from({ length: faults + 1 }, () => [])
  return {
    add(node: Node): void {
      const lengths = buckets[node.moment.faults] ?? []
      lengths[node.length] ??= []
      lengths[node.length]?.push(node)
    },
    next(): Node | undefined {
      for (const lengths of buckets) {
        for (const length in lengths) {
          const node = lengths[length]?.shift()
          if (node) return node
          delete lengths[length]
        }
      }
      return undefined
    },
  }
}

function pathOf(trail: Trail | undefined): string[] {
  const path: string[] = []
  for (let one = trail; one; one = one.from) path.unshift(one.by)
  return path
}

/** How many ways there are to an end, with at most so many faults: counted from the ends, not walked. */
function countSchedules(seen: ReadonlyMap<string, Edges>, start: string, faults: number): number {
  const counts = Array.from({ length: faults + 1 }, () => new Map<string, number>())
  const todo: { key: string; left: number }[] = [{ key: start, left: faults }]
  for (let at = todo.at(-1); at; at = todo.at(-1)) {
    const { key, left } = at
    const edges = (seen.get(key)?.to ?? []).filter(({ cost }) => cost <= left)
    const open = edges.filter((edge) => counts[left - edge.cost]?.get(edge.key) === undefined)
    if (open.length > 0) {
      for (const edge of open) todo.push({ key: edge.key, left: left - edge.cost })
      continue
    }
    todo.pop()
    const sum = edges.reduce((total, edge) => total + (counts[left - edge.cost]?.get(edge.key) ?? 0), 0)
    // What was not looked at is no end.
    const isEnd = seen.get(key)?.to.length === 0
    counts[left]?.set(key, isEnd ? 1 : sum)
  }
  return counts[faults]?.get(start) ?? 0
}

/**
 * Goes through every schedule by itself, each from where it parts from the one before: what {@link search} says without merging
 * equal moments. Far slower; to check the other.
 */
export async function walkEvery({ site, rules, first, breathe }: Omit<SearchOptions, 'maxMoments'>, most: number): Promise<Every> {
  const todo: Moment[] = [first]
  const every = { schedules: 0, moves: 0, broken: 0 }
  for (let moment = todo.pop(); moment && every.schedules < most; moment = todo.pop()) {
    if (every.moves % 4_096 < 8) await breathe()
    const moves = await movesOf(site, moment)
    const rule = rules.onTheWay(site, moment) ?? (moves.length === 0 ? rules.atTheEnd(moment) : undefined)
    every.moves += moves.length
    if (rule !== undefined) every.broken += 1
    else if (moves.length === 0) every.schedules += 1
    // The first move last, so that schedules without a fault are gone through first.
    if (rule === undefined) for (const move of moves.reverse()) todo.push(move.to)
  }
  return every
}

export interface Every {
  /** Gone through to their ends. */
  readonly schedules: number
  readonly moves: number
  /** Ended by a broken rule. */
  readonly broken: number
}

/** Makes the moves of a schedule, one after another, until `choose` gives none. */
export async function walk(site: Site, first: Moment, choose: (moves: readonly Move[], at: number) => Move | undefined): Promise<Walked> {
  const made: Move[] = []
  let moment = first
  for (;;) {
    const moves = await movesOf(site, moment)
    const move = choose(moves, made.length)
    if (!move) return { made, last: moment, over: moves.length === 0 }
    made.push(move)
    moment = move.to
  }
}

/** A schedule, move by move. */
export interface Walked {
  readonly made: readonly Move[]
  readonly last: Moment
  /** Whether nothing could follow. */
  readonly over: boolean
}
