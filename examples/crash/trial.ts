import { type Database, manualWorld, messageOf, systemWorld } from '@banyan/core'
import {
  type CrashOutsider,
  type CrashRole,
  type CrashTrial,
  type CrashTrialOptions,
  type CrashVictim,
  crashPlan,
  crashTrial,
  type Mishap,
} from '@banyan/testing/crash'
import { type Engine, type EngineName, SERVERS } from './engine.ts'
import { databaseAt } from './places.ts'
import { type RoleSettings, unlessAway } from './role.ts'
import type { Scenario, Verdict, Watch } from './scenario.ts'

export interface TrialOptions {
  readonly seed: number
  readonly scenario: Scenario
  readonly engine: Engine
  /** Who is hit; left out: anybody. */
  readonly role?: string | undefined
  /** How many kills. Default 3. */
  readonly kills?: number
  /** How many pauses beside them. Default 1. */
  readonly pauses?: number
  /** How long a pause is, milliseconds, in the place of the scenario's own lengths. */
  readonly pauseMs?: number | undefined
  /** Who is hit when, instead of a drawn plan. */
  readonly plan?: readonly Mishap[]
  /** What is wrong on purpose. */
  readonly broken?: string | undefined
  /** How long nothing may move, milliseconds. Default 60,000 and the pauses. */
  readonly timeoutMs?: number | undefined
  /** Ends the trial early when it aborts: it counts for nothing then, and leaves nothing. */
  readonly signal?: AbortSignal | undefined
}

export interface TrialResult extends CrashTrial, Verdict {
  readonly seed: number
  readonly plan: readonly Mishap[]
  readonly failed: boolean
  /** Where the files of a failed trial are. */
  readonly folder: string | undefined
  /** It was ended early, and says nothing. */
  readonly interrupted: boolean
}

/** One life of a little system: its processes, some mishaps, and whether all is as it should be in the end. */
export async function runTrial(options: TrialOptions): Promise<TrialResult> {
  const { seed, scenario, engine, broken, signal } = options
  // First: what cannot be planned leaves nothing behind.
  const plan = options.plan ?? planOf(options)
  const site = await engine.site(scenario.wanted, scenario.bus)
  const outsiders = [...engine.outsiders, busOutsider(scenario)]
  const databases: Record<string, Database> = {}
  let failed = true
  try {
    for (const { service } of scenario.wanted) databases[service] = await databaseAt(site.places[service] ?? '', service)
    const watch = scenario.watch({ seed, folder: site.folder, databases })
    const { trial, ended } = await lived({
      roles: rolesOf(scenario, { folder: site.folder, places: site.places, seed, broken }),
      outsiders,
      mishaps: plan,
      onStruck: watch.close,
      isDone: () => isDone(watch),
      progress: () => whenThere(() => watch.progress()),
      timeoutMs: options.timeoutMs ?? 60_000 + pausesOf(plan),
      signal,
    })
    if (signal?.aborted && !trial.done) {
      failed = false
      return { ...trial, faults: {}, counts: {}, seed, plan, failed, folder: undefined, interrupted: true }
    }
    const { faults, counts } = await whenThere(() => watch.check())
    const verdict = { faults: { ...faults, 'ended by themselves': ended }, counts }
    failed = !trial.done || Object.values(verdict.faults).some((list) => list.length > 0)
    return { ...trial, ...verdict, seed, plan, failed, folder: failed ? site.folder : undefined, interrupted: false }
  } finally {
    for (const database of Object.values(databases)) await database.close()
    if (!failed) await site.remove()
  }
}

/** A process that ends by itself is a failure of the trial, and not of the sitting. */
async function lived(options: CrashTrialOptions): Promise<{ trial: CrashTrial; ended: readonly string[] }> {
  const started = systemWorld.monotonic()
  try {
    return { trial: await crashTrial(options), ended: [] }
  } catch (error) {
    const tookMs = Math.round(systemWorld.monotonic() - started)
    return { trial: { done: false, kills: 0, pauses: 0, strikes: 0, atPoint: 0, tookMs }, ended: [messageOf(error)] }
  }
}

/** Who may be hit in a scenario on an engine: its processes, its bus, and the databases' server where there is one. */
export function victimsOf(scenario: Scenario, engine: EngineName): CrashVictim[] {
  const others = [...SERVERS[engine], ...(scenario.onBus.length > 0 ? ['bus'] : [])]
  return [...scenario.victims, ...others.map((role) => ({ role, points: [], outsider: true, weight: weights[role] ?? 1 }))]
}

/** A server that is struck is away for all trials that run at the time, so it is struck seldom. */
const weights: Readonly<Record<string, number>> = { database: 0.2 }

function planOf({ seed, scenario, engine, role, kills = 3, pauses = 1, pauseMs }: TrialOptions): readonly Mishap[] {
  const { random } = manualWorld({ seed })
  const all = victimsOf(scenario, engine.name).map((victim) =>
    victim.pauseMs && pauseMs !== undefined ? { ...victim, pauseMs: { min: pauseMs, max: pauseMs } } : victim,
  )
  const chosen = role === undefined ? all : all.filter((victim) => victim.role === role)
  // An outsider alone strikes while one of the processes stands at a point.
  const witnesses = chosen.every(({ outsider }) => outsider) ? all.filter(({ outsider }) => !outsider) : []
  return crashPlan({ victims: chosen, witnesses, kills, pauses, random })
}

/** The embedded bus has no process of its own: it dies with all the processes that have it open. */
function busOutsider({ onBus }: Scenario): CrashOutsider {
  return {
    name: 'bus',
    async strike(kill) {
      for (const role of onBus) kill(role)
    },
  }
}

function rolesOf(scenario: Scenario, settings: Omit<RoleSettings, 'name'>): CrashRole[] {
  return Object.entries(scenario.programs).map(([name, program]) => ({
    name,
    program,
    args: [JSON.stringify({ ...settings, name } satisfies RoleSettings)],
  }))
}

function pausesOf(plan: readonly Mishap[]): number {
  return plan.reduce((sum, { deed }) => sum + (deed.kind === 'pause' ? deed.forMs : 0), 0)
}

async function isDone(watch: Watch): Promise<boolean> {
  let done = false
  await unlessAway(async () => {
    done = await watch.isDone()
  })
  return done
}

/** The answer of `ask`, from a database that may be away for a moment. */
async function whenThere<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    const answers: T[] = []
    await unlessAway(async () => {
      answers.push(await ask())
    })
    for (const answer of answers) return answer
  }
}
