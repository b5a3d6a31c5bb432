import { type Instance, type ManualWorld, manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { type Balance, balancer, type Endpoint, endpoint, observe } from './balance.ts'

const instance = (id: number, weight = 1): Instance => ({ id: `i${id}`, service: 'orders', host: '127.0.0.1', port: 3000 + id, weight })
const endpoints = (weights: readonly number[]): Endpoint[] => weights.map((weight, index) => endpoint(instance(index, weight)))
const equal = (count: number) => endpoints(Array.from({ length: count }, () => 1))

function chosen(balance: Balance, pool: readonly Endpoint[], picks: number, world: ManualWorld = manualWorld()): number[] {
  const choose = balancer(balance, world)
  choose.reset(pool)
  const counts = new Map<Endpoint | undefined, number>()
  for (let pick = 0; pick < picks; pick += 1) {
    const one = choose.next(0)
    counts.set(one, (counts.get(one) ?? 0) + 1)
  }
  return pool.map((each) => counts.get(each) ?? 0)
}

/** Calls at a steady rate, each taking as long as its endpoint does; returns calls and latencies per endpoint. */
function simulate(
  pool: readonly Endpoint[],
  takesMs: (index: number, random: number) => { ok: boolean; ms: number },
  calls: number,
  everyMs: number,
): number[] {
  const world = manualWorld({ seed: 7 })
  const choose = balancer('p2c', world)
  choose.reset(pool)
  const counts = pool.map(() => 0)
  let open: { at: number; end: () => void }[] = []
  for (let call = 0; call < calls; call += 1) {
    const now = call * everyMs
    for (const { at, end } of open) if (at <= now) end()
    open = open.filter(({ at }) => at > now)
    const picked = choose.next(now)
    if (!picked) throw new Error('nothing to pick')
    const index = pool.indexOf(picked)
    const { ok, ms } = takesMs(index, world.random())
    counts[index] = (counts[index] ?? 0) + 1
    picked.inFlight += 1
    const end = () => {
      picked.inFlight -= 1
      observe(picked, ok, ms, now + ms)
    }
    open.push({ at: now + ms, end })
  }
  return counts
}

test.each<Balance>(['p2c', 'round-robin'])('%s chooses nothing among none, and the only one of one', (balance) => {
  expect(chosen(balance, [], 3)).toEqual([])
  expect(chosen(balance, equal(1), 3)).toEqual([3])
})

test('round-robin gives each its turn, whatever the number', () => {
  expect(chosen('round-robin', equal(7), 70)).toEqual([10, 10, 10, 10, 10, 10, 10])
})

test('round-robin gives turns by weight', () => {
  expect(chosen('round-robin', endpoints([1, 2, 3]), 600)).toEqual([100, 200, 300])
})

test('p2c draws by weight', () => {
  const counts = chosen('p2c', endpoints([1, 2, 5, 0.5]), 8_500)
  for (const [index, share] of [1_000, 2_000, 5_000, 500].entries()) expect((counts[index] ?? 0) / share).toBeCloseTo(1, 0)
  expect(counts[2]).toBeGreaterThan(4_700)
  expect(counts[2]).toBeLessThan(5_300)
})

test('p2c prefers the one with fewer calls in flight, and of a heavier one takes more in flight', () => {
  const [light, heavy] = endpoints([1, 4])
  if (!light || !heavy) throw new Error('two were made')
  for (const each of [light, heavy]) observe(each, true, 10, 0)
  heavy.inFlight = 3
  light.inFlight = 1
  expect(chosen('p2c', [light, heavy], 100)[1]).toBeGreaterThan(95)
})

test('a seed repeats the choices', () => {
  const sequence = () => {
    const choose = balancer('p2c', manualWorld({ seed: 3 }))
    choose.reset(equal(9))
    return Array.from({ length: 50 }, () => choose.next(0)?.instance.id)
  }
  expect(sequence()).toEqual(sequence())
})

test('a latency rises at once and falls slowly', () => {
  const [one] = equal(1)
  if (!one) throw new Error('one was made')
  observe(one, true, 10, 0)
  observe(one, true, 500, 1)
  expect(one.latencyMs).toBe(500)
  observe(one, true, 10, 1_001)
  expect(one.latencyMs).toBeGreaterThan(400)
  observe(one, true, 10, 40_000)
  expect(one.latencyMs).toBeLessThan(25)
})

test('equal hosts get equal shares', () => {
  const counts = simulate(equal(20), (_, random) => ({ ok: true, ms: 5 + 10 * random }), 40_000, 1)
  expect(Math.max(...counts) / Math.min(...counts)).toBeLessThan(1.25)
})

test('a host twenty times slower gets a small part of its share', () => {
  const counts = simulate(equal(20), (index, random) => ({ ok: true, ms: (5 + 10 * random) * (index === 0 ? 20 : 1) }), 40_000, 1)
  expect(counts[0]).toBeLessThan(40_000 * 0.005)
})

test('a host that fails fast attracts nothing', () => {
  const counts = simulate(equal(20), (index, random) => (index === 0 ? { ok: false, ms: 1 } : { ok: true, ms: 5 + 10 * random }), 40_000, 1)
  expect(counts[0]).toBeLessThan(40_000 * 0.002)
})
