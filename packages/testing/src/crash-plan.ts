import { shown } from '@banyan/core'

/** One mishap of a role: when it comes, and what it does. */
export interface Mishap {
  readonly role: string
  readonly when: CrashTime
  readonly deed: CrashDeed
}

/** When a mishap comes. */
export type CrashTime =
  /** When the process comes to a named point for the `hit`th time, and at the latest `withinMs` after it said that it works. */
  | { readonly kind: 'point'; readonly point: string; readonly hit: number; readonly withinMs: number }
  /** So many milliseconds after the process was started; for what is no process, after its last mishap. */
  | { readonly kind: 'time'; readonly afterMs: number }

export type CrashDeed =
  /** SIGKILL, and at once a new process. */
  | { readonly kind: 'kill' }
  /** SIGSTOP, and SIGCONT so many milliseconds later. */
  | { readonly kind: 'pause'; readonly forMs: number }
  /** What an outsider of this name does: a database server that dies, say. */
  | { readonly kind: 'strike'; readonly outsider: string }

/** Who may be hit. */
export interface CrashVictim {
  readonly role: string
  /** The named points of its program. */
  readonly points: readonly string[]
  /** How long it may be paused, milliseconds; left out: it is never paused. */
  readonly pauseMs?: { readonly min: number; readonly max: number }
  /** It is no process of the trial; its strikes take the place of kills. */
  readonly outsider?: boolean
  /** How often it is drawn, compared with others, above 0. Default 1. */
  readonly weight?: number
}

export interface CrashPlanOptions {
  readonly victims: readonly CrashVictim[]
  /** Processes at whose points an outsider may strike, beside the victims. */
  readonly witnesses?: readonly CrashVictim[]
  /** How many kills, outsiders' strikes among them, a whole number from 0. */
  readonly kills: number
  /** How many pauses beside them, a whole number from 0, where a victim may be paused. Default 0. */
  readonly pauses?: number
  /** Numbers in [0, 1): a seeded generator repeats the plan. */
  readonly random: () => number
}

/** The hits of a point among which one is drawn. */
const MOST_HITS = 3
/** A process that does not come to its point is hit after this time, milliseconds. */
const WITHIN_MS = 1_000
/** Random mishaps come up to this late after the start: booting, working or idle. */
const LATEST_MS = 500

/**
 * Draws who is hit when: three of four at a named point, the rest at a random time.
 *
 * @throws {RangeError} for an option out of range
 */
export function crashPlan({ victims, witnesses = [], kills, pauses = 0, random }: CrashPlanOptions): Mishap[] {
  checkCount('kills', kills)
  checkCount('pauses', pauses)
  for (const victim of victims) checkWeight(victim)
  const draw = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)]
  const processes = victims.filter(({ outsider }) => !outsider)
  const pausable = processes.filter(({ pauseMs }) => pauseMs)
  const plan: Mishap[] = []
  // Pauses come first: in the list of a role, what follows a kill belongs to the next life.
  for (let count = 0; count < (pausable.length > 0 ? pauses : 0); count += 1) {
    const victim = draw(pausable)
    if (!victim?.pauseMs) break
    const { min, max } = victim.pauseMs
    plan.push({ role: victim.role, when: drawTime(victim.points, random), deed: { kind: 'pause', forMs: between(min, max, random) } })
  }
  for (let count = 0; count < kills; count += 1) {
    const victim = weighed(victims, random)
    if (!victim) throw new RangeError('cannot plan crashes: "victims" is empty')
    plan.push(victim.outsider ? strikeOf(victim.role, draw([...processes, ...witnesses]), random) : killOf(victim, random))
  }
  return plan
}

/** A mishap as text: `relay at after-publish, hit 2: kill`. */
export function describeMishap({ role, when, deed }: Mishap): string {
  const where = when.kind === 'point' ? `at ${when.point}, hit ${when.hit}` : `after ${when.afterMs} ms`
  const what = { kill: 'kill', pause: `pause${deed.kind === 'pause' ? ` ${deed.forMs} ms` : ''}`, strike: 'strike' }[deed.kind]
  return `${role} ${where}: ${what}${deed.kind === 'strike' && deed.outsider !== role ? ` ${deed.outsider}` : ''}`
}

/** Of nothing that is planned nobody hears: the trial would count as one that went well. */
function checkCount(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return
  throw new RangeError(`cannot plan crashes: "${name}" is ${shown(value)}, wanted a whole number from 0`)
}

function checkWeight({ role, weight = 1 }: CrashVictim): void {
  if (Number.isFinite(weight) && weight > 0) return
  throw new RangeError(`cannot plan crashes: the "weight" of "${role}" is ${shown(weight)}, wanted a number above 0`)
}

function weighed(victims: readonly CrashVictim[], random: () => number): CrashVictim | undefined {
  const weightOf = ({ weight = 1 }: CrashVictim) => weight
  let rest = random() * victims.reduce((sum, victim) => sum + weightOf(victim), 0)
  const drawn = victims.find((victim) => {
    rest -= weightOf(victim)
    return rest < 0
  })
  // Taken away one by one, weights may leave a trifle of their sum.
  return drawn ?? victims.at(-1)
}

function killOf({ role, points }: CrashVictim, random: () => number): Mishap {
  return { role, when: drawTime(points, random), deed: { kind: 'kill' } }
}

/** An outsider is hit while a process stands at a point, in mid-commit say, or at any time. */
function strikeOf(outsider: string, witness: CrashVictim | undefined, random: () => number): Mishap {
  const when = drawTime(witness?.points ?? [], random)
  return { role: when.kind === 'point' && witness ? witness.role : outsider, when, deed: { kind: 'strike', outsider } }
}

function drawTime(points: readonly string[], random: () => number): CrashTime {
  const byPoint = random() < 3 / 4
  const point = points[Math.floor(random() * points.length)]
  const when = random()
  if (!byPoint || point === undefined) return { kind: 'time', afterMs: Math.floor(when * LATEST_MS) }
  return { kind: 'point', point, hit: 1 + Math.floor(when * MOST_HITS), withinMs: WITHIN_MS }
}

function between(min: number, max: number, random: () => number): number {
  return Math.round(min + random() * (max - min))
}
