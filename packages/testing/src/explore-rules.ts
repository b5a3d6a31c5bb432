import { messageOf } from '@banyan/core'
import { type AnySaga, readResults, resultsFor, type SagaState, stepNamed } from '@banyan/saga/internal'
import { SAGA_ID } from './explore-body.ts'
import type { Effect, Moment } from './explore-moment.ts'
import type { Book } from './explore-operation.ts'
import type { Site } from './explore-site.ts'

/** What an invariant looks at. */
export interface ExploredWorld<States = Readonly<Record<string, unknown>>, Local = unknown> {
  /** The state of each service, by name. */
  readonly services: States
  /** What is in the saga's own database: what its `save` gave. */
  readonly local: Local
  readonly saga: {
    readonly status: SagaState['status']
    /** By step. */
    readonly results: Readonly<Record<string, unknown>>
    /** Of a completed saga: what its `done` gave. */
    readonly output: unknown
  }
}

/**
 * Holds unless it gives `false`, or a text that says what is wrong, or throws (so that assertions of a test library do). Never async:
 * a promise is refused.
 */
export type Invariant<World> = (world: World) => boolean | string | undefined | void

export type Invariants<World> = Readonly<Record<string, Invariant<World>>>

export interface RuleOptions {
  readonly saga: AnySaga
  /** As a worker reads it. */
  readonly input: unknown
  /** The saga's key. */
  readonly key: string
  readonly always: Invariants<ExploredWorld>
  readonly atEnd: Invariants<ExploredWorld>
  /** Steps that a completed saga may have done without their effect. */
  readonly mayLack: readonly string[]
}

export interface Rules {
  /** What is broken at a moment of which something may follow. */
  onTheWay(site: Site, moment: Moment): string | undefined
  /** What is broken at the end of a schedule. */
  atTheEnd(moment: Moment): string | undefined
}

export function rulesOf(options: RuleOptions): Rules {
  const usual = new Map<string, Usual>()
  return {
    onTheWay(site, moment) {
      if (moment.wrong !== undefined) return moment.wrong
      const undone = moment.passed && site.engine.actions(moment.state).find(({ kind }) => kind === 'undo')
      if (undone) return `nothing is undone past the pivot: "${undone.step}" is about to be`
      return effectsTwice(moment.effects) ?? brokenOf(options.always, options, moment)
    },
    atTheEnd(moment) {
      const { status } = moment.state
      if (status === 'stuck') return stuckBroken(moment)
      if (status !== 'completed' && status !== 'compensated') return `the saga never ends: it is ${status}, and nothing can happen any more`
      const effects = status === 'completed' ? unusual(usual, options, moment) : leftBehind(moment.effects)
      return effects ?? brokenOf(options.atEnd, options, moment)
    },
  }
}

/** Where an undo fails for good, a person goes on: with all that is to be undone, or somebody's effect is forgotten. */
function stuckBroken({ state, excused, effects }: Moment): string | undefined {
  if (!excused || state.status !== 'stuck') return 'the saga is stuck and needs a person'
  const { resume } = state
  const lost = resume.status === 'undoing' ? effects.find(({ step }) => !resume.left.includes(step)) : undefined
  return lost && `a stuck saga knows what is still to be undone: that of "${lost.step}" (${lost.at}) is not among it`
}

function effectsTwice(effects: readonly Effect[]): string | undefined {
  const twice = effects.find(({ count }) => count > 1)
  if (twice) return `no effect happens twice: that of "${twice.step}" (${twice.at}) has`
  const under = effects.find(({ count }) => count < 0)
  return under && `nothing is taken back twice, or without having been done: that of "${under.step}" (${under.at}) was`
}

function leftBehind(effects: readonly Effect[]): string | undefined {
  const [left] = effects
  return left && `a compensated saga leaves no effect: that of "${left.step}" (${left.at}) is still there`
}

/** How many effects a step leaves when all goes well: by the schedules with the fewest faults in which a saga completes and has done it. */
interface Usual {
  /** None, but of a step that only a fault leads to. */
  readonly faults: number
  readonly counts: Set<number>
}

/**
 * A saga that completes leaves what it leaves when nothing goes wrong: no effect lost, none more. Each step by itself, as whether one is
 * done may depend on what others say or send.
 */
function unusual(usual: Map<string, Usual>, { saga, mayLack }: RuleOptions, { effects, done, faults }: Moment): string | undefined {
  const counts = new Map(done.map((step) => [step, 0]))
  for (const { step, count } of effects) counts.set(step, (counts.get(step) ?? 0) + count)
  for (const [step, count] of counts) {
    // Moments with fewer faults are looked at before those with more.
    if (!usual.has(step) && done.includes(step)) usual.set(step, { faults, counts: new Set() })
    const known = usual.get(step)
    if (known?.faults === faults) known.counts.add(count)
    if (!known || known.counts.has(count)) continue
    const most = Math.max(...known.counts)
    if (count > most) return `no effect happens twice: the saga completed, and "${step}" has left ${count} effects in place of ${most}`
    const { name } = stepNamed(saga, step) ?? { name: step }
    if (mayLack.includes(name)) continue
    const lost = `no effect is lost: the saga completed, and "${step}" has left ${count} effects in place of ${most}`
    return `${lost}; if another step stands in for it, say so by "mayLack"`
  }
  return undefined
}

function brokenOf(invariants: Invariants<ExploredWorld>, options: RuleOptions, moment: Moment): string | undefined {
  const names = Object.keys(invariants)
  if (names.length === 0 && moment.state.status !== 'completed') return undefined
  let world: ExploredWorld
  try {
    world = worldOf(options, moment)
  } catch (error) {
    return `a completed saga has its output: "done" threw, ${messageOf(error)}`
  }
  for (const name of names) {
    const said = saidBy(() => invariants[name]?.(world))
    if (isThenable(said)) throw promised(name, said)
    if (said === false) return name
    if (typeof said === 'string') return `${name}: ${said}`
  }
  return undefined
}

function saidBy(invariant: () => boolean | string | undefined | void): boolean | string | undefined | void {
  try {
    return invariant()
  } catch (error) {
    return messageOf(error)
  }
}

function isThenable(said: unknown): said is PromiseLike<unknown> {
  return typeof said === 'object' && said !== null && 'then' in said && typeof said.then === 'function'
}

/** Its answer would come when the search is elsewhere: it would hold whatever it says. */
function promised(name: string, said: PromiseLike<unknown>): TypeError {
  // What it says is unheard, an error of its own too.
  said.then(undefined, () => {})
  return new TypeError(`cannot explore: the invariant "${name}" gives a promise; wanted one that is not async`)
}

function worldOf({ saga, input, key }: RuleOptions, moment: Moment): ExploredWorld {
  const services = Object.fromEntries(Object.entries(moment.books).map(([name, book]) => [name, (JSON.parse(book) as Book).state]))
  const results = resultsFor(saga.steps, readResults(moment.results))
  const { status } = moment.state
  const context = { ...results, input, id: SAGA_ID, key }
  // The builder typed the function by the steps whose results these are.
  const output = status === 'completed' ? saga.outputOf(context as never) : undefined
  return { services, local: JSON.parse(moment.local), saga: { status, results, output } }
}
