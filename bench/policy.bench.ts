import { failures, runContestant, twice } from './contestant.ts'
import { readOptions } from './options.ts'
import { installPeers } from './peers.ts'
import type { PolicyResult, PolicyTask } from './policy/child.ts'
import { median, writeReport } from './report.ts'
import { alone, beside, note, printVerdicts, series, type Verdict } from './verdict.ts'

const HELP = `npm run bench -- policy [--rounds 5] [--quick]

What a policy costs a call, in nanoseconds above a bare "await fn()" of an async function that returns a number:
  breaker         circuitBreaker() beside cockatiel's (5 failures in a row) and opossum's, as it comes and with the least it does
                  (no timeout, no percentiles, no snapshots)
  timeout, retry  beside cockatiel's, and p-retry
  three           retry, breaker, timeout, beside cockatiel's wrapped
  open            a rejection by an open breaker, as a value (cockatiel throws)
  failing         a call that fails, with 0 and with 50,000 calls in the window
  heap            what is left of a million calls through three layers, after collecting garbage
Each in a process of its own in each round, in turns; slices of bare calls and of the subject take turns in it. What counts is processor
time, as nothing here waits: a busy machine disturbs less. About 3 minutes for 5 rounds; --quick takes one.

Writes bench/results/policy.json; --quick writes nothing. Fails when a target is missed.`

const TIMEOUT_MS = 180_000
const HEAP_CALLS = 1_000_000
const FAR = 'failing, 50,000 in the window'
const NEAR = 'failing, 0 in the window'
const FAR_TIME = 'failing, 50,000 in the time window'
const NEAR_TIME = 'failing, 0 in the time window'

const MEASURED: readonly (readonly [PolicyTask['by'], readonly string[]])[] = [
  [
    'banyan',
    [
      'by hand',
      'breaker',
      'breaker, count window',
      'breaker, time window',
      'timeout',
      'retry',
      'three',
      'open',
      NEAR,
      FAR,
      NEAR_TIME,
      FAR_TIME,
    ],
  ],
  ['cockatiel', ['breaker', 'timeout', 'retry', 'three', 'open', NEAR, FAR]],
  ['opossum', ['breaker', 'minimal', NEAR, FAR]],
  ['p-retry', ['retry']],
]

/** Measures and reports. */
export async function run(args: readonly string[]): Promise<void> {
  const options = readOptions(args, HELP)
  if (!options) return
  const { rounds, quick } = options
  installPeers()
  const times = new Map<string, number[]>()
  const add = (name: string, value: number) => times.set(name, [...(times.get(name) ?? []), value])
  const slices = quick ? 5 : 15
  for (let round = 1; round <= rounds; round += 1) {
    for (const [by, subjects] of MEASURED) {
      for (const subject of subjects) {
        const name = `${by}: ${subject}`
        const { nanoseconds, bareNanoseconds } = await twice(name, () => measure({ by, subject, slices }))
        add(name, nanoseconds)
        add('bare', bareNanoseconds)
        console.error(`round ${round} of ${rounds}: ${name.padEnd(46)} ${nanoseconds.toFixed(0).padStart(10)} ns`)
      }
    }
    const { heapBytes } = await twice('heap', () => measure({ by: 'banyan', subject: 'three', slices, heapOverCalls: HEAP_CALLS }))
    add('heap', heapBytes / 1_024)
    console.error(`round ${round} of ${rounds}: ${'heap'.padEnd(46)} ${(heapBytes / 1_024).toFixed(1).padStart(10)} KiB`)
  }
  report(times, { rounds, quick })
}

function measure(task: PolicyTask): Promise<PolicyResult> {
  return runContestant<PolicyResult>('policy/child.ts', task, TIMEOUT_MS)
}

function report(times: ReadonlyMap<string, readonly number[]>, { rounds, quick }: { rounds: number; quick: boolean }): void {
  const verdicts = judge((name) => median(times.get(name) ?? []))
  console.log(`\nnanoseconds of processor time a call takes above a bare await, median of ${rounds} rounds\n`)
  const met = printVerdicts(verdicts)
  if (!met) process.exitCode = 1
  if (quick) return
  const figures = Object.fromEntries([...times].map(([name, values]) => [name, series(values)]))
  const settings = { rounds, heapCalls: HEAP_CALLS, unit: 'ns of processor time above a bare await; heap: KiB' }
  console.log(`\n${writeReport('policy', { settings, verdicts, figures, met, failures })}`)
}

function judge(of: (name: string) => number): Verdict[] {
  const ours = (subject: string) => of(`banyan: ${subject}`)
  const against = (what: string, subject: string, peer: string, theirs: number, times: number | undefined): Verdict => {
    const line = beside(what, ours(subject), peer, theirs, { atMost: 1 / (times ?? 1) }, ' ns')
    const said = { ...line, ratio: `1/${(theirs / ours(subject)).toFixed(1)}` }
    if (times !== undefined) return { ...said, target: `<= 1/${times}` }
    const { target: _target, met: _met, ...rest } = said
    return rest
  }
  return [
    against('breaker', 'breaker', 'cockatiel', of('cockatiel: breaker'), 4),
    against('breaker', 'breaker', 'opossum, the least it does', of('opossum: minimal'), 15),
    against('breaker', 'breaker', 'opossum, as it comes', of('opossum: breaker'), undefined),
    against('timeout', 'timeout', 'cockatiel', of('cockatiel: timeout'), 12),
    against('retry + breaker + timeout', 'three', 'cockatiel', of('cockatiel: three'), 10),
    against('retry', 'retry', 'cockatiel', of('cockatiel: retry'), undefined),
    against('retry', 'retry', 'p-retry', of('p-retry: retry'), undefined),
    {
      ...alone('open: a rejection as a value', ours('open'), { atMost: 300 }, ' ns'),
      theirs: `cockatiel, thrown ${Math.round(of('cockatiel: open'))} ns`,
    },
    flat('a failure, 50,000 calls in a count window', ours(FAR), ours(NEAR), of(`opossum: ${FAR}`)),
    flat('a failure, 50,000 calls in a time window', ours(FAR_TIME), ours(NEAR_TIME), of(`cockatiel: ${FAR}`), 'cockatiel'),
    alone('heap after a million calls', of('heap'), { atMost: 64 }, ' KiB'),
    note('breaker with a count window', ours('breaker, count window'), ' ns'),
    note('breaker with a time window', ours('breaker, time window'), ' ns'),
    note('a breaker by hand: one .then(ok, bad) and a count', ours('by hand'), ' ns'),
    note('a bare await, for comparison', of('bare'), ' ns'),
  ]
}

/** A quarter more is noise: what goes through the window takes thousands of times as long. */
function flat(what: string, far: number, near: number, theirs: number, peer = 'opossum'): Verdict {
  const line = beside(what, far, 'ours at 0', near, { atMost: 1.25 }, ' ns')
  return { ...line, theirs: `${line.theirs}; ${peer} at 50,000 ${Math.round(theirs).toLocaleString('en')} ns` }
}
