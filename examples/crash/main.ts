import { systemWorld } from '@banyan/core'
import { OptionError, type Options, readOptions } from './options.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios.ts'
import { runSitting } from './sitting.ts'
import { startEngine } from './start-engine.ts'
import { describeFailure, totals } from './totals.ts'
import { victimsOf } from './trial.ts'

// npm run crash: see --help.

/** After so many failed trials a sitting ends: the cause is to be found first. */
const MAY_FAIL = 20
/** As the shell says it of a program that ended by SIGINT. */
const INTERRUPTED = 130
const SAY_EVERY_MS = 60_000

const interruption = new AbortController()
// More than once where a terminal signals npm, who passes it on: those under way end, and leave nothing.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interruption.abort())

try {
  const options = readOptions(process.argv.slice(2))
  process.exit(options ? await run(options) : 0)
} catch (error) {
  // parseArgs throws TypeErrors with messages of their own for options that it does not know.
  if (!(error instanceof OptionError || (error instanceof TypeError && 'code' in error))) throw error
  console.error(`cannot run: ${error.message}; see --help`)
  process.exit(2)
}

async function run(options: Options): Promise<number> {
  const engine = await startEngine(options.engine)
  let failed = 0
  try {
    for (const name of options.scenarios) {
      const scenario = scenarios[name]
      if (scenario && !interruption.signal.aborted) failed += await runScenario(options, scenario, engine)
    }
  } finally {
    await engine.stop()
  }
  if (interruption.signal.aborted) return INTERRUPTED
  return failed === 0 ? 0 : 1
}

async function runScenario(options: Options, scenario: Scenario, engine: Awaited<ReturnType<typeof startEngine>>): Promise<number> {
  const { trials, seed, kills, pauses, role, broken } = options
  const hit =
    role ??
    victimsOf(scenario, engine.name)
      .map((victim) => victim.role)
      .join(', ')
  const seeds = trials === 1 ? `seed ${seed}` : `seeds ${seed} to ${seed + trials - 1}`
  console.log(`${scenario.name} on ${engine.name}: ${trials} trials of ${kills} kills and ${pauses} pauses of ${hit}, ${seeds}`)
  if (broken) console.log(`broken on purpose: ${broken}`)
  const sum = totals()
  const started = systemWorld.monotonic()
  let saidAt = started
  await runSitting({
    ...options,
    scenario,
    engine,
    mayFail: MAY_FAIL,
    signal: interruption.signal,
    onTrial(result) {
      sum.add(result)
      if (result.failed) console.log(describeFailure(result, commandOf(options, scenario, result.seed)))
      const now = systemWorld.monotonic()
      if (now - saidAt < SAY_EVERY_MS) return
      saidAt = now
      console.log(`${sum.trials} trials so far, ${sum.failed} failed`)
    },
  })
  if (sum.trials > 0) console.log(sum.describe(systemWorld.monotonic() - started))
  if (interruption.signal.aborted) console.log(`interrupted: ${trials - sum.trials} trials were not made`)
  else if (sum.trials < trials) console.log(`ended early: more than ${MAY_FAIL} trials failed`)
  return sum.failed
}

/** Runs one trial again, with the same plan. */
function commandOf({ engine, role, kills, pauses, pauseMs, broken }: Options, { name }: Scenario, seed: number): string {
  const words = ['npm run crash --', `--scenario ${name}`, `--engine ${engine}`, `--seed ${seed}`, '--trials 1', `--kills ${kills}`]
  words.push(`--pauses ${pauses}`)
  if (role) words.push(`--role ${role}`)
  if (pauseMs !== undefined) words.push(`--pause-ms ${pauseMs}`)
  if (broken) words.push(`--break ${broken}`)
  return words.join(' ')
}
