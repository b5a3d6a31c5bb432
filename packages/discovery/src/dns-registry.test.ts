import { manualWorld, type Snapshot } from '@banyan/core'
import { expect, test } from 'vitest'
import { type DnsRegistryOptions, dnsRegistry } from './dns-registry.ts'
import type { DnsResolver } from './dns-resolver.ts'

/** A registry over a resolver that answers from a list. */
function setUp(options: DnsRegistryOptions = {}, ttlSeconds = 5) {
  const world = manualWorld()
  const asked: number[] = []
  const state: { addresses: readonly string[]; fails?: Error | undefined; closed: boolean } = { addresses: ['10.0.0.1'], closed: false }
  const resolver: DnsResolver = {
    services: () => Promise.reject(new Error('not asked for')),
    addresses: async () => {
      asked.push(world.monotonic())
      if (state.fails) throw state.fails
      return state.addresses.map((address) => ({ address, ttlSeconds }))
    },
    close() {
      state.closed = true
    },
  }
  const registry = dnsRegistry({ port: 80, resolver, world, ...options })
  const heard: Snapshot[] = []
  registry.watch('orders', (snapshot) => heard.push(snapshot))
  const hosts = () => heard.at(-1)?.instances.map(({ host }) => host) ?? []
  return { world, registry, state, asked, heard, hosts }
}

test('asks again when the time of the answer is over', async () => {
  const { world, asked } = setUp()
  await world.advance(10_000)
  expect(asked).toEqual([0, 5_000, 10_000])
})

test('within bounds: not more often than once a second, not less often than every half minute', async () => {
  const short = setUp({}, 0)
  await short.world.advance(2_000)
  expect(short.asked).toEqual([0, 1_000, 2_000])
  const long = setUp({}, 86_400)
  await long.world.advance(60_000)
  expect(long.asked).toEqual([0, 30_000, 60_000])
})

test('an answer that is the same is no news', async () => {
  const { world, heard } = setUp()
  await world.advance(20_000)
  expect(heard).toHaveLength(1)
})

test('many that are gone at once are asked about again before they are believed; one goes at once', async () => {
  const { world, state, hosts } = setUp()
  state.addresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6']
  await world.advance(5_000)
  expect(hosts()).toHaveLength(6)
  state.addresses = state.addresses.slice(1)
  await world.advance(5_000)
  expect(hosts()).toHaveLength(5)
  await world.advance(5_000)
  state.addresses = ['10.0.0.2']
  await world.advance(5_000)
  expect(hosts()).toHaveLength(5)
  await world.advance(4_999)
  expect(hosts()).toHaveLength(5)
  await world.advance(1)
  expect(hosts()).toEqual(['10.0.0.2'])
})

test('stale while DNS fails, whatever the failure, and asked again within two seconds', async () => {
  const { world, state, heard, asked } = setUp()
  await world.advance(0)
  state.fails = new Error('SERVFAIL')
  await world.advance(5_000)
  expect(heard.at(-1)).toMatchObject({ stale: true, revision: 1, instances: [{ host: '10.0.0.1' }] })
  const failures = asked.length
  await world.advance(20_000)
  expect(asked.length - failures).toBeGreaterThan(9)
  state.fails = undefined
  await world.advance(2_000)
  expect(heard.at(-1)).toMatchObject({ stale: false, revision: 1 })
})

test('registering changes nothing; closing ends all', async () => {
  const { world, registry, state, asked } = setUp()
  await world.advance(0)
  const registration = await registry.register({ id: 'x', service: 'orders', host: 'h', port: 1 })
  await registration.deregister()
  await registry.close()
  const before = asked.length
  await world.advance(100_000)
  expect([asked.length, state.closed, world.pendingTimers()]).toEqual([before, true, 0])
})

test('refuses options out of range', () => {
  expect(() => setUp({ port: 0 })).toThrow('cannot create DNS registry: "port" is 0, wanted 1 to 65535')
  expect(() => setUp({ minTtlMs: 1_000_000, maxTtlMs: 1_000_000 })).toThrow('"minTtlMs" is 1000000, wanted 10 to 600000')
  expect(() => setUp({ minTtlMs: 5_000, maxTtlMs: 1_000 })).toThrow('"maxTtlMs" is 1000, wanted 5000 to')
})
