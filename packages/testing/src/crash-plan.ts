/** How one life of a process ends. */
export type Kill =
  /** When it comes to a named point for the `hit`th time, and at the latest `withinMs` after it said that it works. */
  | { readonly kind: 'point'; readonly role: string; readonly point: string; readonly hit: number; readonly withinMs: number }
  /** So many milliseconds after its start, wherever it is. */
  | { readonly kind: 'time'; readonly role: string; readonly afterMs: number }

export interface CrashPlanOptions {
  /** The roles to be killed, with their named points. */
  readonly victims: readonly { readonly role: string; readonly points: readonly string[] }[]
  /** How many kills, a whole number from 0. */
  readonly kills: number
  /** Numbers in [0, 1): a seeded generator repeats the plan. */
  readonly random: () => number
}

/** The hits of a point among which one is drawn. */
const MOST_HITS = 3
/** A process that does not come to its point is killed after this time, milliseconds. */
const WITHIN_MS = 700
/** Random kills come up to this late after the start: booting, working or idle. */
const LATEST_MS = 600

/** Draws who is killed when: two of three at a named point, the rest at a random time. */
export function crashPlan({ victims, kills, random }: CrashPlanOptions): Kill[] {
  const draw = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)]
  return Array.from({ length: kills }, () => {
    const victim = draw(victims)
    if (!victim) throw new RangeError('cannot plan crashes: "victims" is empty')
    const byPoint = random() < 2 / 3
    const point = draw(victim.points)
    const when = random()
    if (!byPoint || point === undefined) return { kind: 'time', role: victim.role, afterMs: Math.floor(when * LATEST_MS) }
    return { kind: 'point', role: victim.role, point, hit: 1 + Math.floor(when * MOST_HITS), withinMs: WITHIN_MS }
  })
}

/** A kill as text: `relay at after-publish, hit 2`. */
export function describeKill(kill: Kill): string {
  return kill.kind === 'point' ? `${kill.role} at ${kill.point}, hit ${kill.hit}` : `${kill.role} after ${kill.afterMs} ms`
}
