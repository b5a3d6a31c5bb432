import { importPeer } from '../peers.ts'
import { answer, CHEAP, DEAR, fail, type Subject, type Subjects } from './subject.ts'

interface Breaker {
  fire(): Promise<number>
}

type Options = Readonly<Record<string, number | boolean>>
type Opossum = { readonly default: new (work: () => Promise<number>, options: Options) => Breaker }

async function breakerOf(work: () => Promise<number>, options: Options): Promise<Breaker> {
  const { default: CircuitBreaker } = await importPeer<Opossum>('opossum')
  return new CircuitBreaker(work, options)
}

/** Few calls a slice, as each takes milliseconds. */
const SLICE = 20

async function failing(before: number): Promise<Subject> {
  // Never so many in its ten seconds: it counts and does not open.
  const create = () => breakerOf(fail, { timeout: false, volumeThreshold: 1_000_000_000 })
  let breaker = await create()
  return {
    call: () => breaker.fire().catch(() => {}),
    calls: SLICE,
    async prepare() {
      breaker = await create()
      // Into its window of ten seconds without its failure path, which would take minutes.
      const { status } = breaker as unknown as { status: { increment(name: string, latencyMs?: number): void } }
      for (let i = 0; i < before; i += 1) status.increment('failures', 1)
    },
  }
}

export const opossum: Subjects = {
  /** As it comes: with a timeout of ten seconds. */
  breaker: async () => ({ call: callOf(await breakerOf(answer, {})), calls: DEAR }),
  /** The least it does: no timeout, no percentiles, no snapshots. */
  minimal: async () => ({
    call: callOf(await breakerOf(answer, { timeout: false, rollingPercentilesEnabled: false, enableSnapshots: false })),
    calls: CHEAP,
  }),
  'failing, 0 in the window': () => failing(0),
  'failing, 50,000 in the window': () => failing(50_000),
}

function callOf(breaker: Breaker): () => Promise<number> {
  return () => breaker.fire()
}
