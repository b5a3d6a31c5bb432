import { parseArgs } from 'node:util'
import { systemWorld } from '@banyan/core'
import { describeKill } from '@banyan/testing'
import { POINTS, runTrial, type TrialResult } from './trial.ts'

const HELP = `Kills the processes of a small system with SIGKILL, again and again, and counts what was lost, done twice or out of order.

  npm run crash -- [options]

  --trials N        how many trials, each with fresh files (default 20)
  --kills N         how many kills a trial (default 3)
  --seed N          the seed of the first trial; the next ones count up (default: drawn)
  --role NAME       who is killed: ${Object.keys(POINTS).join(', ')} or all (default all)
  --break inbox     note handled messages outside their transaction, to see the checker fail

A failing trial prints its seed; --seed S --trials 1 runs its plan again.`

const { values } = parseArgs({
  options: {
    trials: { type: 'string', default: '20' },
    kills: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Math.floor(systemWorld.random() * 1_000_000)) },
    role: { type: 'string', default: 'all' },
    break: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
const trials = wholeNumber('trials', values.trials)
const kills = wholeNumber('kills', values.kills)
const seed = wholeNumber('seed', values.seed)
const victims = values.role === 'all' ? Object.keys(POINTS) : [values.role]
if (victims.some((role) => !(role in POINTS))) fail(`there is no role "${values.role}"; wanted ${Object.keys(POINTS).join(', ')} or all`)
if (values.break !== undefined && values.break !== 'inbox') fail(`there is nothing to break called "${values.break}"; wanted inbox`)

console.log(`${trials} trials of ${kills} kills of ${victims.join(', ')}, seeds ${seed} to ${seed + trials - 1}`)
const total = { failed: 0, kills: 0, atPoint: 0, lost: 0, twice: 0, inverted: 0, invented: 0, tookMs: 0 }
for (let index = 0; index < trials; index += 1) {
  const result = await runTrial({ seed: seed + index, victims, kills, breakInbox: values.break === 'inbox' })
  const { lost, twice, inverted, invented } = result.faults
  total.kills += result.kills
  total.atPoint += result.atPoint
  total.tookMs += result.tookMs
  total.lost += lost.length
  total.twice += twice.length
  total.inverted += inverted.length
  total.invented += invented.length
  if (!result.folder) continue
  total.failed += 1
  console.log(describeFailure(seed + index, result))
}
const seconds = (total.tookMs / 1_000 / Math.max(1, trials)).toFixed(2)
console.log(
  `${trials} trials, ${total.kills} kills (${total.atPoint} at named points), ${seconds} s a trial: ` +
    `${total.lost} lost, ${total.twice} twice, ${total.inverted} inverted, ${total.invented} invented; ${total.failed} failed`,
)
process.exit(total.failed === 0 ? 0 : 1)

function describeFailure(seedOfTrial: number, { done, plan, faults, folder, kills: killed, tookMs }: TrialResult): string {
  const { lost, twice, inverted, invented } = faults
  const first = [...lost, ...twice, ...inverted, ...invented][0]
  return [
    `FAILED  seed ${seedOfTrial}: ${done ? 'done' : 'not done'} after ${tookMs} ms and ${killed} kills; ` +
      `${lost.length} lost, ${twice.length} twice, ${inverted.length} inverted, ${invented.length} invented` +
      (first ? `; the first: ${first.key} ${first.n}` : ''),
    `        plan: ${plan.map(describeKill).join('; ')}`,
    `        files: ${folder}`,
  ].join('\n')
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) fail(`"--${name}" is "${text}", wanted a whole number from 0`)
  return value
}

function fail(message: string): never {
  console.error(`cannot run: ${message}`)
  process.exit(2)
}
