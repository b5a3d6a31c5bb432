import { type Instance, systemWorld, type World } from '@banyan/core'
import { type Balance, type Picked, staticRegistry, type Upstream, upstream } from '@banyan/discovery'
import { settingsOfContestant, tell } from '../contestant.ts'
import { median } from '../report.ts'

/** One way to choose, in a process of its own: a program has one, and its code is compiled for that one. */
export interface SpeedTask {
  readonly subject: Balance | 'zones' | 'bare'
  readonly instances: readonly number[]
  readonly picks: number
}

/** Nanoseconds for each number of instances. */
export interface SpeedResult {
  /** A pick of `upstream()`: the clock, the choice, the object that is given; for `bare` an index into a list. */
  readonly pick: readonly number[]
  /** And how the call ended. */
  readonly call: readonly number[]
}

/** Calls that are under way at any time. */
const IN_FLIGHT = 64
/** Picks in a row before their calls end and the clock is read: short beside the turns in which processes share a processor. */
const BATCH = 1_024

function listOf(count: number, subject: SpeedTask['subject']): Instance[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `i${index}`,
    service: 'it',
    host: '127.0.0.1',
    port: 1 + (index % 60_000),
    zone: index % 3 === 0 ? 'a' : 'b',
    ...(subject === 'weighted' && { weight: 1 + (index % 7) }),
  }))
}

async function balanced(count: number, subject: Exclude<SpeedTask['subject'], 'bare'>): Promise<Upstream> {
  const balance = subject === 'zones' ? 'p2c' : subject
  const registry = staticRegistry({ it: listOf(count, subject) })
  const made = upstream({ registry, service: 'it', balance, ...(subject === 'zones' && { zone: 'a' }) })
  if (!(await made.ready(10_000))) throw new Error('no instance was listed')
  return made
}

/** Keeps what was picked, so that nothing can be left out as unused. */
let kept = 0

/** Nanoseconds of one of `BATCH` things: the median of many batches, so that those during which something else had the processor do not count. */
function medianNs(picks: number, batch: () => void, between: () => void = () => {}): number {
  const took: number[] = []
  for (let round = 0; round < picks / BATCH; round += 1) {
    const began = performance.now()
    batch()
    took.push(performance.now() - began)
    between()
  }
  return (median(took) / BATCH) * 1e6
}

function bareNs(count: number, picks: number, { random }: World): number {
  const list = listOf(count, 'bare')
  return medianNs(picks, () => {
    for (let pick = 0; pick < BATCH; pick += 1) kept += list[Math.floor(random() * count)]?.port ?? 0
  })
}

function pickNs(made: Upstream, picks: number): number {
  const batch: (Picked | undefined)[] = new Array(BATCH)
  return medianNs(
    picks,
    () => {
      for (let pick = 0; pick < BATCH; pick += 1) batch[pick] = made.pick()
    },
    () => {
      for (const picked of batch) {
        kept += picked?.instance.port ?? 0
        picked?.done({ ok: true, latencyMs: 5 })
      }
    },
  )
}

function callNs(made: Upstream, picks: number): number {
  const open: (Picked | undefined)[] = new Array(IN_FLIGHT)
  return medianNs(picks, () => {
    for (let pick = 0; pick < BATCH; pick += 1) {
      const at = pick % IN_FLIGHT
      open[at]?.done({ ok: true, latencyMs: 5 })
      open[at] = made.pick()
      kept += open[at]?.instance.port ?? 0
    }
  })
}

const { subject, instances, picks } = settingsOfContestant<SpeedTask>()
const pick: number[] = []
const call: number[] = []
for (const count of instances) {
  if (subject === 'bare') {
    bareNs(count, picks / 10, systemWorld)
    pick.push(bareNs(count, picks, systemWorld))
    continue
  }
  const made = await balanced(count, subject)
  // Every instance has answered, and the code is compiled.
  callNs(made, Math.max(picks / 4, count * 20))
  pick.push(pickNs(made, picks))
  call.push(callNs(made, picks))
  made.stop()
}
await tell('result', { pick, call } satisfies SpeedResult)
// The channel to the benchmark would keep it alive.
process.exit(kept < 0 ? 1 : 0)
