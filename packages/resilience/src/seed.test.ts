import { CodedError, manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { adaptiveLimit } from './adaptive-limit.ts'
import { exponential } from './backoff.ts'
import { bulkhead } from './bulkhead.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { onResilienceEvent, type ResilienceEvents } from './events.ts'
import { fallback } from './fallback.ts'
import { hedge } from './hedge.ts'
import { policy } from './policy.ts'
import { rateLimit } from './rate-limit.ts'
import { retry } from './retry.ts'
import { retryBudget } from './retry-budget.ts'
import { timeout } from './timeout.ts'

const kinds: readonly (keyof ResilienceEvents)[] = [
  'call',
  'circuit-breaker',
  'retry',
  'timeout',
  'bulkhead',
  'rate-limit',
  'hedge',
  'adaptive-limit',
  'fallback',
]

/** A dependency in trouble behind every layer there is, for a minute; what was told, in order. */
async function simulate(seed: number): Promise<string[]> {
  const world = manualWorld({ seed })
  const budget = retryBudget({ world })
  const stock = policy(
    'stock',
    fallback('stale'),
    timeout(1_500, { world }),
    retry({ backoff: exponential({ baseMs: 50 }), budget, world }),
    hedge({ after: { quantile: 0.9 }, budget, world }),
    circuitBreaker({
      window: { timeMs: 10_000 },
      slow: { overMs: 300, rate: 0.8 },
      coolDownMs: 1_000,
      probes: { allowed: 3, needed: 2, overflow: 'wait' },
      world,
    }),
    rateLimit({ limiter: { algorithm: 'gcra', limit: 40, periodMs: 1_000, burst: 40 }, maxWaitMs: 20, world }),
    adaptiveLimit({ initial: 12, world }),
    bulkhead({ limit: 8, queue: 4, maxWaitMs: 50, world }),
    timeout(400, { world }),
  )
  const log: string[] = []
  const note = (text: string) => log.push(`${world.monotonic().toFixed(3)} ${text}`)
  const stops = kinds.map((kind) => onResilienceEvent(kind, (event) => note(`${kind} ${JSON.stringify(event)}`)))
  const work = async () => {
    const bad = Math.floor(world.monotonic() / 10_000) % 2
    await new Promise<void>((resolve) => void world.after(world.random() ** 3 * (bad ? 900 : 200), resolve))
    if (world.random() < (bad ? 0.7 : 0.02)) throw new CodedError('ERR_DOWN', 'down', { status: 500 })
    return 'fresh'
  }
  let ended = 0
  for (let call = 0; call < 800; call += 1) {
    void stock.run(work).then(() => (ended += 1))
    await world.advance(world.random() * 80)
  }
  await world.advance(10_000)
  for (const stop of stops) stop()
  expect(ended).toBe(800)
  expect(world.pendingTimers()).toBe(0)
  return log
}

test('the same seed gives the same run, to the last event, with every layer there is', async () => {
  const first = await simulate(7)
  expect(await simulate(7)).toEqual(first)
  expect(await simulate(8)).not.toEqual(first)
  const told = new Set(first.map((line) => line.split(' ')[1]))
  expect(kinds.filter((kind) => !told.has(kind))).toEqual([])
})
