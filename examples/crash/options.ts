import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { systemWorld } from '@banyan/core'
import { ENGINES, type EngineName } from './engine.ts'
import { scenarios } from './scenarios.ts'
import { victimsOf } from './trial.ts'

export interface Options {
  readonly trials: number
  readonly kills: number
  readonly pauses: number
  readonly pauseMs: number | undefined
  readonly seed: number
  /** `undefined`: anybody. */
  readonly role: string | undefined
  readonly engine: EngineName
  readonly scenarios: readonly string[]
  readonly parallel: number
  readonly broken: string | undefined
  readonly timeoutMs: number | undefined
}

const names = Object.keys(scenarios)
const roles = [...new Set(Object.values(scenarios).flatMap(({ victims }) => victims.map(({ role }) => role)))]
const breaks = Object.values(scenarios).flatMap((scenario) => scenario.breaks)
const atOnce = 2 * availableParallelism()

const HELP = `Kills the processes of little systems with SIGKILL, again and again, and counts what was lost, done twice or out of order.

  npm run crash -- [options]

  --trials N         how many trials of each scenario, from 1, each with fresh databases (default 20)
  --scenario NAME    ${names.join(', ')} or all (default all)
  --engine NAME      ${ENGINES.join(' or ')} (default ${ENGINES[0]}); postgres starts a server of its own
  --seed N           the seed of the first trial; the next ones count up (default: drawn)
  --role NAME        who is hit: ${roles.join(', ')},
                     bus (the processes that have it open, together), database (PostgreSQL's server), or all (default all);
                     only scenarios that have the role run
  --kills N          how many kills a trial (default 3)
  --pauses N         how many pauses a trial, by SIGSTOP and SIGCONT (default 1)
  --pause-ms N       how long each pause is (default: somewhat longer than the leases)
  --parallel N       how many trials at once (default two a processor: ${atOnce})
  --timeout-ms N     how long nothing may move in a trial before it counts as failed (default 60000, and the pauses)
  --break NAME       break something on purpose, to see the checker find it: ${breaks.join(', ')};
                     only the scenario it belongs to runs

A failing trial prints its seed, its plan and the folder of its files; --trials 1 --seed S runs its plan again. Exit codes: 0 all is
well, 1 a trial failed, 2 the options are wrong, 130 interrupted: it says what was seen so far, and leaves nothing.

  npm run crash -- --trials 1000
  npm run crash -- --trials 500 --scenario saga --engine postgres
  npm run crash -- --trials 5 --scenario saga --pause-ms 30000
  npm run crash -- --trials 20 --break inbox --role consumer`

/**
 * What the command line says, or `undefined` when it asks for help, which has been printed then.
 *
 * @throws {OptionError} for what cannot be followed
 */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: joined(args),
    options: {
      trials: { type: 'string', default: '20' },
      kills: { type: 'string', default: '3' },
      pauses: { type: 'string', default: '1' },
      'pause-ms': { type: 'string' },
      'timeout-ms': { type: 'string' },
      seed: { type: 'string', default: String(Math.floor(systemWorld.random() * 1_000_000)) },
      role: { type: 'string', default: 'all' },
      engine: { type: 'string', default: 'sqlite' },
      scenario: { type: 'string', default: 'all' },
      parallel: { type: 'string', default: String(atOnce) },
      break: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    return undefined
  }
  type NumberName = 'trials' | 'kills' | 'pauses' | 'pause-ms' | 'timeout-ms' | 'seed' | 'parallel'
  const number = (name: NumberName, least = 0) => wholeNumber(name, values[name], least)
  const broken = values.break
  if (broken !== undefined) oneOf('break', broken, breaks)
  const scenario = oneOf('scenario', values.scenario, [...names, 'all'])
  const named = oneOf('role', values.role, [...roles, 'bus', 'database', 'all'])
  const role = named === 'all' ? undefined : named
  const engine = oneOf('engine', values.engine, ENGINES)
  const chosen = names.filter((name) => scenario === 'all' || name === scenario)
  return {
    trials: number('trials', 1),
    kills: number('kills'),
    pauses: number('pauses'),
    pauseMs: values['pause-ms'] === undefined ? undefined : number('pause-ms'),
    timeoutMs: values['timeout-ms'] === undefined ? undefined : number('timeout-ms', 1),
    seed: number('seed'),
    role,
    engine,
    scenarios: withRole(withBreak(chosen, broken), role, engine),
    parallel: number('parallel', 1),
    broken,
  }
}

/** A command line that cannot be followed. */
export class OptionError extends Error {}

function oneOf<T extends string>(name: string, value: string, wanted: readonly T[]): T {
  const found = wanted.find((one) => one === value)
  if (found === undefined) throw new OptionError(`"--${name}" is "${value}", wanted ${wanted.join(', ')}`)
  return found
}

/** `--trials -1` as `--trials=-1`: no option begins with a digit, so that is a value, and as such it is judged. */
function joined(args: readonly string[]): string[] {
  const words: string[] = []
  for (const arg of args) {
    const before = words.at(-1)
    if (/^-\d/.test(arg) && before !== undefined && /^--[a-z-]+$/.test(before)) words[words.length - 1] = `${before}=${arg}`
    else words.push(arg)
  }
  return words
}

/** Those of the scenarios that know how to break it: what is to be broken is not in every one. */
function withBreak(chosen: readonly string[], broken: string | undefined): readonly string[] {
  if (broken === undefined) return chosen
  const knows = (name: string) => scenarios[name]?.breaks.includes(broken)
  const found = chosen.filter(knows)
  if (found.length === 0) throw new OptionError(`--break ${broken} belongs to the scenario ${names.filter(knows).join(' or ')}`)
  return found
}

/** Those of the scenarios in which the role can be hit. */
function withRole(chosen: readonly string[], role: string | undefined, engine: EngineName): readonly string[] {
  const found = chosen.filter((name) => role === undefined || rolesIn(name, engine).includes(role))
  if (found.length > 0) return found
  const there = chosen.map((name) => `the scenario ${name} has ${rolesIn(name, engine).join(', ')}`).join('; ')
  throw new OptionError(`there is no --role ${role} on ${engine}: ${there}`)
}

function rolesIn(name: string, engine: EngineName): string[] {
  const scenario = scenarios[name]
  return scenario ? victimsOf(scenario, engine).map(({ role }) => role) : []
}

function wholeNumber(name: string, text: string | undefined, least: number): number {
  const value = text?.trim() ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value) || value < least) throw new OptionError(`"--${name}" is "${text}", wanted a whole number from ${least}`)
  return value
}
