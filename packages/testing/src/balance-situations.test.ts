import type { World } from '@banyan/core'
import { type UpstreamOptions, upstream } from '@banyan/discovery'
import { retryBudget } from '@banyan/resilience'
import { expect, test } from 'vitest'
import { equalHosts, type MakePicker, oneFailsFast, oneIsSlow, oneJoins, totalOutage, zones } from './balance-situations.ts'

const seeds = [1, 2]
const ours =
  (options: Partial<UpstreamOptions> = {}): MakePicker =>
  ({ registry, service, world }) =>
    upstream({ registry, service, world, ...options })

/** What a balancer without a memory does, to see that the figures tell. */
const atRandom: MakePicker = ({ registry, service, world }) => {
  let instances: Parameters<Parameters<typeof registry.watch>[1]>[0]['instances'] = []
  const watch = registry.watch(service, (snapshot) => {
    instances = snapshot.instances
  })
  return {
    stop: () => watch.stop(),
    pick() {
      const instance = instances[Math.floor(world.random() * instances.length)]
      return instance && { instance, done() {} }
    },
  }
}

test.each(seeds)('equal hosts, seed %i: the busiest has at most 1.1 times the calls of the idlest', async (seed) => {
  expect((await equalHosts(ours(), seed)).maxToMin).toBeLessThanOrEqual(1.1)
})

test.each(seeds)('one of twenty fails fast, seed %i: at most 5 of 10,000 calls fail, and it is ejected', async (seed) => {
  const said: string[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (_fields: object, message: string) => void said.push(message) }
  const { errorShare, quietShare } = await oneFailsFast(ours({ log }), seed)
  expect(errorShare).toBeGreaterThan(0)
  expect(errorShare).toBeLessThanOrEqual(0.000_5)
  expect(quietShare).toBeGreaterThan(0.8)
  expect(said.length).toBeGreaterThan(0)
  expect(said.every((message) => message.startsWith('avoiding host-0:'))).toBe(true)
})

test.each(['least-requests', 'round-robin', 'weighted', 'consistent-hash'] as const)(
  'the same by %s, which knows no latency',
  async (balance) => {
    const { errorShare, quietShare } = await oneFailsFast(ours({ balance }))
    expect(errorShare).toBeLessThanOrEqual(0.000_5)
    expect(quietShare).toBeGreaterThan(0.8)
  },
)

test('without ejection such a balancer goes on calling it', async () => {
  const { errorShare } = await oneFailsFast(ours({ balance: 'round-robin', outliers: { maxShare: 0 } }))
  expect(errorShare).toBeGreaterThan(0.04)
})

test.each(seeds)('one of twenty is twenty times slower, seed %i: p99 at most 1.15 times that of equal hosts', async (seed) => {
  const { p99Ratio, share } = await oneIsSlow(ours(), seed)
  expect(p99Ratio).toBeLessThanOrEqual(1.15)
  expect(share).toBeGreaterThan(0)
})

test.each(seeds)('all are down, three attempts within the budget, seed %i: at most 1.2 attempts a call and the reserve', async (seed) => {
  const budget = { budget: (world: World) => retryBudget({ world }), perSecond: 10, windowMs: 10_000 }
  const { amplification, reserve } = await totalOutage(ours(), budget, seed)
  expect(amplification).toBeGreaterThan(1.1)
  expect(amplification).toBeLessThanOrEqual(1.2 + reserve)
})

test('a new host gets a tenth at first and its whole part after the slow start', async () => {
  const { first, last } = await oneJoins(ours({ slowStartMs: 10_000 }))
  expect(first).toBeLessThan(0.3)
  expect(last).toBeGreaterThan(0.9)
  expect(last).toBeLessThan(1.1)
  expect((await oneJoins(ours())).first).toBeGreaterThan(0.6)
})

test('calls stay in their zone while it can do them, and the rest of them goes elsewhere when it cannot', async () => {
  const calm = await zones(ours({ zone: 'a' }), 600)
  expect(calm.ownShare).toBeGreaterThan(0.95)
  const busy = await zones(ours({ zone: 'a' }), 2_000)
  expect(busy.ownShare).toBeGreaterThan(0.5)
  expect(busy.ownShare).toBeLessThan(0.65)
  // Kept at home, 800 calls a second would wait in line, longer and longer.
  expect(busy.report.latencyMs.p99).toBeLessThan(200)
})

test('without a memory these figures are missed', async () => {
  expect((await oneFailsFast(atRandom)).errorShare).toBeGreaterThan(0.04)
  expect((await oneIsSlow(atRandom)).p99Ratio).toBeGreaterThan(10)
  expect((await zones(atRandom, 600)).ownShare).toBeLessThan(0.4)
})
