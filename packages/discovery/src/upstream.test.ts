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

test('a call sent before its instance was avoided says nothing of it when it is back', async () => {
  const { orders, list, call, picks, world } = setUp({ balance: 'round-robin' })
  list(['a', 'b', 'c'])
  for (const id of ['a', 'b', 'c']) call(id, true)
  const early = [orders.pick(), orders.pick(), orders.pick()].find((picked) => picked?.instance.id === 'a')
  await world.advance(10)
  for (let time = 0; time < 3; time += 1) call('a', false)
  await world.advance(1_000)
  expect(picks(30)).toContain('a')
  early?.done({ ok: false, latencyMs: 1_010 })
  expect(picks(30)).toContain('a')
  call('a', false)
  expect(picks(30)).not.toContain('a')
})

test('the clock is read for a pick only while something depends on it', async () => {
  const manual = manualWorld()
  let readings = 0
  const world = {
    ...manual,
    monotonic: () => {
      readings += 1
      return manual.monotonic()
    },
  }
  const { orders, list, call } = setUp({ balance: 'round-robin', world })
  list(['a', 'b'])
  for (const id of ['a', 'b']) call(id, true)
  const readBy = (work: () => void) => {
    readings = 0
    work()
    return readings
  }
  expect(readBy(() => orders.pick())).toBe(0)
  for (let time = 0; time < 3; time += 1) call('a', false)
  expect(readBy(() => orders.pick())).toBe(1)
  list(['b'])
  expect(readBy(() => orders.pick())).toBe(0)
  list(['b', 'new'])
  // The first call of one that has not answered is priced by the time.
  expect(readBy(() => [orders.pick(), orders.pick()])).toBe(1)
})

test('of a few avoids one, and never the only one', () => {
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

test('the same key goes to the same instance, and a second try with it to the same other one', () => {
  const { orders, list } = setUp({ balance: 'consistent-hash' })
  list(['a', 'b', 'c', 'd'])
  const of = (key: string, exclude?: ReadonlySet<string>) => {
    const picked = orders.pick(exclude, key)
    picked?.done({ ok: true, latencyMs: 1 })
    return picked?.instance.id ?? ''
  }
  const homes = new Set(Array.from({ length: 200 }, (_, index) => of(`customer ${index}`)))
  expect(homes.size).toBe(4)
  const first = of('customer 7')
  const second = of('customer 7', new Set([first]))
  expect(second).not.toBe(first)
  for (let time = 0; time < 20; time += 1) expect([of('customer 7'), of('customer 7', new Set([first]))]).toEqual([first, second])
})

test('prefers its own zone', () => {
  const { orders, list } = setUp({ zone: 'here' })
  const answered = (count: number) =>
    new Set(
      Array.from({ length: count }, () => {
        const picked = orders.pick()
        picked?.done({ ok: true, latencyMs: 5 })
        return picked?.instance.id
      }),
    )
  list([instance('a', { zone: 'here' }), instance('b', { zone: 'there' }), instance('c', { zone: 'here' })])
  expect(answered(50)).toEqual(new Set(['a', 'c']))
  list([instance('a', { zone: 'there' }), instance('b', { zone: 'there' }), instance('c', { zone: 'here' })])
  expect(answered(200)).toEqual(new Set(['a', 'b', 'c']))
})

test('one that joins gets its share slowly; those of the first list have it at once', async () => {
  const { list, picks, world } = setUp({ balance: 'weighted', slowStartMs: 10_000 })
  const shareOf = (id: string) => picks(1_100).filter((each) => each === id).length / 1_100
  list(['a', 'b'])
  expect(shareOf('a')).toBeCloseTo(0.5)
  list(['a', 'b', 'c'])
  expect(shareOf('c')).toBeLessThan(0.06)
  await world.advance(5_000)
  expect(shareOf('c')).toBeCloseTo(0.2, 1)
  await world.advance(5_000)
  expect(shareOf('c')).toBeCloseTo(1 / 3, 1)
})

test('a call that ends after its instance left counts for nobody, not for the one that has its place now', () => {
  const { orders, list, picks } = setUp({ balance: 'least-requests' })
  list(['a'])
  const late = orders.pick()
  list(['b', 'c'])
  for (let time = 0; time < 3; time += 1) late?.done({ ok: false, latencyMs: 1 })
  expect(new Set(picks(2))).toEqual(new Set(['b', 'c']))
})

test('weights that are none are taken for the least or the most there is', () => {
  const { list, picks } = setUp({ balance: 'weighted' })
  list([instance('a', { weight: 0 }), instance('b', { weight: Number.NaN }), instance('c', { weight: 1e9 }), instance('d', { weight: -3 })])
  expect(new Set(picks(5))).toContain('c')
  list([instance('a', { weight: 0 })])
  expect(picks(1)).toEqual(['a'])
})

test('a balancer of your own is asked for every pick', () => {
  const { list, picks } = setUp({
    balance: (table) => ({ size: 1, weigh() {}, next: () => table.instances.findIndex((each) => each?.id === 'b') }),
  })
  list(['a', 'b', 'c'])
  expect(picks(3)).toEqual(['b', 'b', 'b'])
})

test('refuses options out of range', () => {
  expect(() => setUp({ slowStartMs: -1 })).toThrow('"slowStartMs" is -1, wanted 0 to 3600000')
  expect(() => setUp({ balance: 'consistent-hash', loadFactor: 1 })).toThrow('"loadFactor" is 1, wanted 1.01 to 100')
  expect(() => setUp({ zone: { name: 'a', overload: 0 } })).toThrow('"zone.overload" is 0')
  // @ts-expect-error: from a file that nobody checked
  expect(() => setUp({ balance: 'fastest' })).toThrow('"balance" is "fastest", wanted one of p2c, least-requests')
  expect(() => setUp({ outliers: { failures: 0 } })).toThrow('"outliers.failures" is 0, wanted 1 to')
  expect(() => setUp({ outliers: { maxShare: 1.5 } })).toThrow(RangeError)
})

test('one is used although all are avoided, whatever the panic share', () => {
  const { orders, list, call } = setUp({ balance: 'round-robin', outliers: { failures: 1, maxShare: 1, panicShare: 0 } })
  list(['a', 'b'])
  call('a', false)
  expect(new Set(Array.from({ length: 4 }, () => orders.pick()?.instance.id))).toEqual(new Set(['b']))
  call('b', false)
  expect(new Set(Array.from({ length: 4 }, () => orders.pick()?.instance.id))).toEqual(new Set(['a', 'b']))
})

test('an instance that registers again elsewhere is another process: it is not avoided for what the one before did', () => {
  const { orders, list, call, picks } = setUp({ balance: 'round-robin', outliers: { failures: 1 } })
  list(['a', instance('b', { port: 2 })])
  const late = [orders.pick(), orders.pick()].find((picked) => picked?.instance.id === 'b')
  call('b', false)
  expect(new Set(picks(4))).toEqual(new Set(['a']))
  list(['a', instance('b', { port: 3 })])
  expect(new Set(picks(4))).toEqual(new Set(['a', 'b']))
  // Sent to the one before.
  late?.done({ ok: false, latencyMs: 1 })
  expect(new Set(picks(4))).toEqual(new Set(['a', 'b']))
})

test.each([Number.POSITIVE_INFINITY, Number.NaN, -1])('a latency of %d is forgotten as others are', async (latencyMs) => {
  const { world, orders, list } = setUp()
  list(['a', 'b'])
  for (const picked of [orders.pick(), orders.pick()]) picked?.done({ ok: true, latencyMs: picked.instance.id === 'a' ? latencyMs : 1 })
  await world.advance(600_000)
  const seen = new Set<string | undefined>()
  for (let i = 0; i < 100; i += 1) {
    const picked = orders.pick()
    seen.add(picked?.instance.id)
    picked?.done({ ok: true, latencyMs: 1 })
  }
  expect(seen).toEqual(new Set(['a', 'b']))
})
