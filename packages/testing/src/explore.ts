import type { AnySaga, Saga } from '@banyan/saga/internal'
import type { Moment } from './explore-moment.ts'
import { type Counterexample, explorationText, type Figures, figuresOf, replayText, type ToldSchedule } from './explore-report.ts'
import { chooserOf, scheduleText } from './explore-schedule.ts'
import { type Found, search, walk } from './explore-search.ts'
import { type AnyServices, type ClientsOf, clientsOf, type ExploreOptions, MOST_FAULTS, type Prepared, prepare } from './explore-setup.ts'
import type { Site } from './explore-site.ts'

/** How many moments a replay looks at, to learn what is usual. */
const REPLAY_MOMENTS = 100_000

/** What came of it: all is well where it is `complete` and nothing is `broken`. */
export interface Exploration extends Figures {
  /** The shortest schedule that breaks a rule; `undefined`: none does. */
  readonly broken: Counterexample | undefined
  /** What about the saga or its services keeps something from being looked at. */
  readonly notes: readonly string[]
  /** All of it for people. */
  readonly text: string
}

/**
 * Runs a saga's own steps against simulated services through every schedule with so many faults: each point where the worker may
 * die, each call that may be lost, late, repeated or refused, each order of what runs side by side. Says which schedule, the
 * shortest one, breaks a rule; nothing is random, and the same saga gives the same answer.
 *
 * Rules of its own, beside your invariants: a saga ends completed or compensated (or stuck, where an undo fails for good by the
 * schedule's will); a compensated one leaves no effect, a completed one leaves what it leaves when nothing goes wrong; no effect
 * happens twice; nothing is undone past the pivot. Of a step that only a fault leads to, what it leaves with the fewest faults counts.
 *
 * Moments from which the same can happen are looked at once, so steps and operations must depend on nothing but what they are
 * given: no counters in a module, no clock, no chance.
 *
 * @throws {ExploreError} when a step or an operation cannot be simulated, whatever it makes of the error; {@link RangeError} for an
 * option out of range, {@link TypeError} for an unknown name in one and for an async invariant
 * @see Killian et al., "Life, Death, and the Critical Transition" (MaceMC), NSDI 2007; Leesatapornwongsa et al., "SAMC", OSDI 2014
 */
export async function explore<Input, const Services extends AnyServices, Local = unknown>(
  saga: Saga<Input> | ((clients: ClientsOf<Services>) => Saga<Input>),
  options: ExploreOptions<Input, Services, Local>,
): Promise<Exploration> {
  try {
    return await exploreFrom(await prepare(saga, options), options)
  } finally {
    await options.database?.close?.()
  }
}

/** A saga with everything it takes to explore it: what `banyan saga explore` finds as the default export of a module. */
export interface Explorable {
  /** The definition, with simulated services behind its steps. */
  definition(): Promise<AnySaga>
  /** Explores it; what is given here goes before what it was made with. */
  explore(options?: { faults?: number; replay?: string; maxMoments?: number }): Promise<Exploration>
}

/** Keeps a saga and its {@link ExploreOptions} for the command line. `options` is called for each exploration. */
export function explorable<Input, const Services extends AnyServices, Local = unknown>(
  saga: Saga<Input> | ((clients: ClientsOf<Services>) => Saga<Input>),
  options: () => ExploreOptions<Input, Services, Local> | Promise<ExploreOptions<Input, Services, Local>>,
): Explorable {
  return {
    async definition() {
      if (typeof saga !== 'function') return saga
      const { services, database } = await options()
      await database?.close?.()
      return saga(clientsOf(services))
    },
    explore: async (more = {}) => explore(saga, { ...(await options()), ...more }),
  }
}

async function exploreFrom(
  { definition, site, rules, first, silent }: Prepared,
  options: { replay?: string; maxMoments?: number },
): Promise<Exploration> {
  const { replay, maxMoments = 1_000_000 } = options
  const begun = performance.now()
  const found: Found & { path?: readonly string[] } = await (replay === undefined
    ? search({ site, rules, first, maxMoments, breathe })
    : replayed({ site, rules, first, schedule: replay }))
  const figures = figuresOf(found, (performance.now() - begun) / 1_000)
  const headline = { name: definition.name, version: definition.version, faults: site.faults }
  if (replay !== undefined) {
    const told = await tellSchedule(site, first, found.path ?? [])
    return { ...figures, broken: asBroken(found, told), notes: [], text: replayText(headline, told, found.broken?.rule) }
  }
  const notes = notesOf(definition, found, silent())
  const broken = found.broken && asBroken(found, await tellSchedule(site, first, found.broken.path))
  return { ...figures, broken, notes, text: explorationText(headline, figures, broken, notes) }
}

function asBroken({ broken }: Found, told: ToldSchedule): Counterexample | undefined {
  return broken && { rule: broken.rule, ...told }
}

/** What a reader would take for looked at, and is not. */
function notesOf({ steps }: AnySaga, { reached, complete }: Found, silent: readonly string[]): string[] {
  const never = complete ? steps.filter(({ name }) => !reached.has(name)) : []
  return [
    ...never.map(({ name }) => `no schedule comes to step "${name}"`),
    ...silent.map((operation) => `${operation} changes its state and never says did() or undid(): the rules about effects do not see it`),
  ]
}

/** One schedule alone, up to its end or to what it breaks. */
async function replayed({
  site,
  rules,
  first,
  schedule,
}: Omit<Prepared, 'definition' | 'silent'> & { schedule: string }): Promise<Found & { path: readonly string[] }> {
  // What is usual is learnt from the schedules without a fault.
  const usual = await search({ site: { ...site, faults: 0 }, rules, first, maxMoments: REPLAY_MOMENTS, breathe })
  if (usual.broken?.path.length === 0) return { ...usual, path: [] }
  const all = { ...site, faults: MOST_FAULTS }
  const chooser = chooserOf(schedule)
  let moment = first
  const { made, last, over } = await walk(all, first, (moves, at) => {
    const move = rules.onTheWay(all, moment) === undefined ? chooser.choose(moves, at) : undefined
    if (move) moment = move.to
    return move
  })
  // And of steps that only a fault leads to, from those with fewer faults than this one.
  const fewer = last.faults - 1
  if (over && fewer > 0) await search({ site: { ...site, faults: fewer }, rules, first, maxMoments: REPLAY_MOMENTS, breathe })
  const rule = rules.onTheWay(all, moment) ?? (over ? rules.atTheEnd(moment) : undefined)
  if (rule === undefined) chooser.over(made.length)
  const path = made.map(({ id }) => id)
  const size = {
    moments: path.length + 1,
    moves: path.length,
    schedules: 1,
    usualEnds: usual.usualEnds,
    reached: usual.reached,
    complete: true,
  }
  return { ...size, path, broken: rule === undefined ? undefined : { rule, path } }
}

/** What happens in a schedule, in words. */
async function tellSchedule(site: Site, first: Moment, path: readonly string[]): Promise<ToldSchedule> {
  const chosen: { id: string; first: boolean }[] = []
  // A replayed schedule may have more faults than a search would try.
  const { made, last } = await walk({ ...site, faults: MOST_FAULTS }, first, (moves, at) => {
    const move = moves.find(({ id }) => id === path[at])
    if (move) chosen.push({ id: move.id, first: move === moves[0] })
    return move
  })
  return { faults: last.faults, lines: made.map(({ tell }) => tell()), schedule: scheduleText(chosen) }
}

/** A macrotask: others may run, and a test's own time limit can end it. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
