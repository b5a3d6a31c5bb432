import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { settingsOfContestant, tell } from '../contestant.ts'
import { median } from '../report.ts'
import { banyan } from './banyan.ts'
import { cockatiel } from './cockatiel.ts'
import { opossum } from './opossum.ts'
import { pRetry } from './p-retry.ts'
import { answer, CHEAP, type Subject, type Subjects } from './subject.ts'

/** What one process measures. */
export interface PolicyTask {
  readonly by: keyof typeof all
  readonly subject: string
  /** `heap`: what is left on it after so many calls, instead of the time of one. */
  readonly heapOverCalls?: number
  readonly slices: number
}

export interface PolicyResult {
  /** Of one call beyond a bare `await fn()`, nanoseconds of processor time. */
  readonly nanoseconds: number
  readonly bareNanoseconds: number
  readonly heapBytes: number
}

const all = { banyan, cockatiel, opossum, 'p-retry': pRetry } satisfies Record<string, Subjects>

const task = settingsOfContestant<PolicyTask>()
const subject = await create(task)
await tell('result', task.heapOverCalls === undefined ? await time(subject, task.slices) : await heap(subject, task.heapOverCalls))
// Peers leave timers behind that would keep the process.
process.exit(0)

async function create({ by, subject: name }: PolicyTask): Promise<Subject> {
  const found: Subjects[string] | undefined = (all[by] as Subjects)[name]
  if (!found) throw new Error(`cannot measure "${name}" of ${by}: there is no such subject`)
  return found()
}

/** Slices of the subject and of a bare call take turns, so that a machine that is busy is so for both. */
async function time({ call, calls, prepare }: Subject, slices: number): Promise<PolicyResult> {
  const bare: number[] = []
  const measured: number[] = []
  // The first ones warm up the compiler.
  const warmUp = calls < 1_000 ? 3 : Math.ceil(10_000 / calls) + 3
  for (let slice = -warmUp; slice < slices; slice += 1) {
    const without = await slowly(answer, CHEAP)
    await prepare?.()
    const within = await slowly(call, calls)
    if (slice < 0) continue
    bare.push(without)
    measured.push(within)
  }
  return { nanoseconds: median(measured) - median(bare), bareNanoseconds: median(bare), heapBytes: 0 }
}

/** Processor time, not the clock's: none of what is measured waits for anything, and a neighbour's work is not ours. */
async function slowly(call: () => Promise<unknown>, calls: number): Promise<number> {
  const before = process.cpuUsage()
  for (let i = 0; i < calls; i += 1) await call()
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1_000) / calls
}

async function heap({ call }: Subject, calls: number): Promise<PolicyResult> {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const used = async () => {
    // What is left of the turn before is let go of first.
    await new Promise((resolve) => setTimeout(resolve, 20))
    for (let i = 0; i < 5; i += 1) collect()
    return process.memoryUsage().heapUsed
  }
  for (let i = 0; i < 200_000; i += 1) await call()
  const before = await used()
  for (let i = 0; i < calls; i += 1) await call()
  return { nanoseconds: 0, bareNanoseconds: 0, heapBytes: (await used()) - before }
}
