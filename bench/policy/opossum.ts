import { importPeer } from '../peers.ts'
import { answer, CHEAP, DEAR, fail, type Subjects } from './subject.ts'

interface Breaker {
  fire(): Promise<number>
}

type Options = Readonly<Record<string, number | boolean>>
type Opossum = { readonly default: new (work: () => Promise<number>, options: Options) => Breaker }

async function breakerOf(work: () => Promise<number>, options: Options): Promise<Breaker> {
  const { default: CircuitBreaker } = await importPeer<Opossum>('opossum')
  return new CircuitBreaker(work, options)
}

async function failing(before: number, calls: number) {
  // Never so many in its ten seconds: it counts and does not open.
  const breaker = await breakerOf(fail, { timeout: false, volumeThreshold: 1_000_000_000 })
  // All within its window of ten seconds, and without its own failure path, which is what is measured.
  const { status } = breaker as unknown as { status: { increment(name: string, latencyMs?: number): void } }
  for (let i = 0; i < before; i += 1) status.increment('failures', 1)
  return { call: () => breaker.fire().catch(() => {}), calls }
}

export const opossum: Subjects = {
  /** As it comes: with a timeout of ten seconds. */
  breaker: async () => ({ call: callOf(await breakerOf(answer, {})), calls: DEAR }),
  /** The least it does: no timeout, no percentiles, no snapshots. */
  minimal: async () => ({
    call: callOf(await breakerOf(answer, { timeout: false, rollingPercentilesEnabled: false, enableSnapshots: false })),
    calls: CHEAP,
  }),
  'failing, 0 in the window': () => failing(0, 200),
  'failing, 50,000 in the window': () => failing(50_000, 20),
}

function callOf(breaker: Breaker): () => Promise<number> {
  return () => breaker.fire()
}
