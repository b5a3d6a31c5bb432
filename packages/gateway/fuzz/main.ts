// npm run fuzz -- --cases 1000000 --seed 7: the parser of answers, the spelling of paths, and a running gateway against bad bytes.
import { parseArgs } from 'node:util'
import { manualWorld } from '@banyan/core'
import { fuzzAnswer } from './answers.ts'
import type { Random } from './bytes.ts'
import { socketFuzzer } from './sockets.ts'
import { fuzzTarget } from './targets.ts'

const HELP = `Looks for bytes that make the gateway end, hang, or read one thing in two ways.

  npm run fuzz                       100,000 cases each of answers and targets, 1,000 through sockets
  npm run fuzz -- --cases 1000000    more; a hundredth of them go through sockets
  npm run fuzz -- --seed 7           the same cases again`

const { values } = parseArgs({
  options: { cases: { type: 'string', default: '100000' }, seed: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
})
if (values.help) {
  console.log(HELP)
  process.exit(0)
}
const cases = wholeNumber('cases', values.cases)
const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : wholeNumber('seed', values.seed)
console.log(`seed ${seed}`)
const { random } = manualWorld({ seed })
const sockets = await socketFuzzer()
try {
  await run('answers read', cases, fuzzAnswer)
  await run('targets read', cases, fuzzTarget)
  await run('requests sent', Math.ceil(cases / 100), sockets.run)
} finally {
  await sockets.stop()
}

async function run(what: string, count: number, one: (random: Random) => string | Promise<string>): Promise<void> {
  const ends = new Map<string, number>()
  const started = performance.now()
  for (let n = 0; n < count; n += 1) {
    const end = await one(random)
    ends.set(end, (ends.get(end) ?? 0) + 1)
  }
  const list = [...ends].sort().map(([end, times]) => `${times.toLocaleString('en')} ${end}`)
  console.log(`${count.toLocaleString('en')} ${what} in ${((performance.now() - started) / 1_000).toFixed(1)} s: ${list.join(', ')}`)
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  console.error(`cannot fuzz: --${name} is "${text}", wanted a whole number`)
  process.exit(2)
}
