import { type Instance, manualWorld, type Registry, type Snapshot } from '@banyan/core'
import { expect, test } from 'vitest'
import { type UpstreamOptions, upstream } from './upstream.ts'

const instance = (id: string, more: Partial<Instance> = {}): Instance => ({ id, service: 'orders', host: '127.0.0.1', port: 1, ...more })

function setUp(options: Partial<UpstreamOptions> = {}) {
  const world = manualWorld()
  let tell: ((snapshot: Snapshot) => void) | undefined
  const registry: Registry = {
    register: () => Promise.reject(new Error('not asked for')),
    watch(_service, onChange) {
      tell = onChange
      return {
        stop() {
          tell = undefined
        },
      }
    },
  }
  let revision = 0
  const said: string[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (_fields: object, message: string) => void said.push(message) }
  const orders = upstream({ registry, service: 'orders', world, log, ...options })
  return {
    world,
    orders,
    said,
    watched: () => tell !== undefined,
    list(instances: readonly (string | Instance)[], stale = false) {
      revision += 1
      tell?.({ instances: instances.map((each) => (typeof each === 'string' ? instance(each) : each)), revision, stale })
    },
    call(id: string, ok: boolean) {
      for (;;) {
        const picked = orders.pick()
        if (!picked) throw new Error('nothing to pick')
        const wanted = picked.instance.id === id
        picked.done({ ok: wanted ? ok : true, latencyMs: 1 })
        if (wanted) return
      }
    },
    picks: (count: number) => Array.from({ length: count }, () => orders.pick()?.instance.id),
  }
}

test('picks nothing while nothing is known, and from stale snapshots as from others', () => {
  const { orders, list } = setUp()
  expect(orders.pick()).toBeUndefined()
  list(['a'], true)
  expect(orders.pick()?.instance.id).toBe('a')
  expect(orders.snapshot()).toMatchObject({ stale: true, revision: 1 })
  list([])
  expect(orders.pick()).toBeUndefined()
})

test('prefers instances that are not excluded, and takes an excluded one rather than none', () => {
  const { orders, list } = setUp()
  list(['a', 'b', 'c'])
  for (let pick = 0; pick < 100; pick += 1) expect(orders.pick(new Set(['a', 'b']))?.instance.id).toBe('c')
  expect(orders.pick(new Set(['a', 'b', 'c']))).toBeDefined()
})

test('spreads calls in flight, and counts an outcome once', () => {
  const { orders, list, picks } = setUp()
  list(['a', 'b'])
  const both = [orders.pick(), orders.pick()]
  expect(new Set(both.map((picked) => picked?.instance.id))).toEqual(new Set(['a', 'b']))
  const [first, second] = both
  for (let time = 0; time < 3; time += 1) first?.done({ ok: true, latencyMs: 1 })
  second?.done({ ok: true, latencyMs: 1 })
  // Counted three times, the first would be at minus two calls in flight, and both of these would go there.
  expect(new Set(picks(2)).size).toBe(2)
})

test('avoids an instance that keeps failing, says so, and tries it again later', async () => {
  const { orders, list, call, picks, world, said } = setUp({ balance: 'round-robin' })
  list(['a', 'b', 'c'])
  for (let time = 0; time < 3; time += 1) call('a', false)
  expect(picks(30)).not.toContain('a')
  expect(said).toEqual([expect.stringContaining('avoiding 127.0.0.1:1')])
  await world.advance(1_000)
  expect(picks(30)).toContain('a')
  call('a', false)
  await world.advance(1_999)
  expect(picks(30)).not.toContain('a')
  await world.advance(1)
  expect(picks(30)).toContain('a')
  expect(orders.pick()).toBeDefined()
})

test('never avoids more than half, and never the only one', () => {
  const { list, call, picks } = setUp({ balance: 'round-robin' })
  list(['a', 'b', 'c'])
  for (const id of ['a', 'b', 'a', 'b', 'a', 'b']) call(id, false)
  expect(new Set(picks(30)).size).toBe(2)
  const alone = setUp()
  alone.list(['a'])
  for (let time = 0; time < 10; time += 1) alone.call('a', false)
  expect(alone.picks(1)).toEqual(['a'])
})

test('keeps what it learnt of instances that stay, and takes over what they say anew', () => {
  const { orders, list, call, picks } = setUp({ balance: 'round-robin' })
  list(['a', 'b'])
  for (let time = 0; time < 3; time += 1) call('a', false)
  list(['a', instance('b', { port: 9 }), 'c'])
  expect(new Set(picks(30))).toEqual(new Set(['b', 'c']))
  expect(orders.pick(new Set(['c']))?.instance.port).toBe(9)
  // The healthy ones left: rather one that fails than none.
  list(['a'])
  expect(picks(1)).toEqual(['a'])
})

test('is ready at the first instance, not ready after the time or a stop', async () => {
  const { orders, list, world, watched } = setUp()
  const outcomes: string[] = []
  const note = (name: string, ready: Promise<boolean>) => void ready.then((is) => outcomes.push(`${name} ${is}`))
  note('short', orders.ready(100))
  note('long', orders.ready(5_000))
  await world.advance(100)
  expect(outcomes).toEqual(['short false'])
  list([])
  await world.advance(0)
  expect(outcomes).toHaveLength(1)
  list(['a'])
  await world.advance(0)
  expect(outcomes).toEqual(['short false', 'long true'])
  expect(await orders.ready(0)).toBe(true)
  list([])
  note('stopped', orders.ready(5_000))
  orders.stop()
  await world.advance(0)
  expect(outcomes.at(-1)).toBe('stopped false')
  expect(await orders.ready(5_000)).toBe(false)
  expect(watched()).toBe(false)
  expect(world.pendingTimers()).toBe(0)
})

test('refuses options out of range', () => {
  expect(() => setUp({ outliers: { failures: 0 } })).toThrow('"outliers.failures" is 0, wanted 1 to')
  expect(() => setUp({ outliers: { maxShare: 1.5 } })).toThrow(RangeError)
})
