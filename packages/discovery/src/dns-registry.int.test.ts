import type { Snapshot } from '@banyan/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type DnsRegistryOptions, dnsRegistry } from './dns-registry.ts'
import { nodeResolver } from './dns-resolver.ts'
import type { ClosableRegistry } from './registry-client.ts'
import { type DnsServer, dnsServer } from './test/dns-server.ts'

let server: DnsServer
const open: ClosableRegistry[] = []

beforeEach(async () => {
  server = await dnsServer()
})
afterEach(async () => {
  for (const registry of open.splice(0)) await registry.close()
  await server.close()
})

/** Watches `orders` by real questions over UDP, and waits for what is heard. */
function follow(options: DnsRegistryOptions = {}) {
  const resolver = nodeResolver({ servers: [server.address], timeoutMs: 100, tries: 2 })
  const registry = dnsRegistry({ nameOf: (service) => `${service}.shop.test`, resolver, minTtlMs: 20, maxTtlMs: 500, ...options })
  open.push(registry)
  let latest: Snapshot | undefined
  let look = () => {}
  registry.watch('orders', (snapshot) => {
    latest = snapshot
    look()
  })
  const until = (is: (snapshot: Snapshot) => boolean) =>
    new Promise<Snapshot>((resolve) => {
      look = () => {
        if (latest && is(latest)) resolve(latest)
      }
      look()
    })
  return { registry, until, hosts: (snapshot: Snapshot) => snapshot.instances.map(({ host, port }) => `${host}:${port}`) }
}

const a = (address: string, ttl = 0) => ({ type: 'A', ttl, address }) as const
const srv = (target: string, port: number, weight = 1, priority = 0) => ({ type: 'SRV', ttl: 0, priority, weight, port, target }) as const

test('addresses at a known port, followed as they change', async () => {
  server.zone.set('orders.shop.test', [a('10.0.0.1'), a('10.0.0.2')])
  const { until, hosts } = follow({ port: 8080 })
  const first = await until(({ revision }) => revision === 1)
  expect(hosts(first)).toEqual(['10.0.0.1:8080', '10.0.0.2:8080'])
  expect(first.instances[0]?.id).toBe('orders@10.0.0.1:8080')
  server.zone.set('orders.shop.test', [a('10.0.0.1'), a('10.0.0.2'), a('10.0.0.3')])
  expect(hosts(await until(({ revision }) => revision === 2))).toEqual(['10.0.0.1:8080', '10.0.0.2:8080', '10.0.0.3:8080'])
  server.zone.set('orders.shop.test', [a('10.0.0.1'), a('10.0.0.3')])
  expect(hosts(await until(({ revision }) => revision === 3))).toEqual(['10.0.0.1:8080', '10.0.0.3:8080'])
})

test('IPv6 where there is no IPv4', async () => {
  server.zone.set('orders.shop.test', [{ type: 'AAAA', ttl: 0, address: 'fd00::1:2' }])
  const { until, hosts } = follow({ port: 80 })
  expect(hosts(await until(({ revision }) => revision === 1))).toEqual(['fd00::1:2:80'])
  expect(server.asked).toContain('AAAA orders.shop.test')
})

test('SRV records: ports and weights of the lowest priority that has addresses', async () => {
  server.zone.set('_http._tcp.orders.test', [
    srv('gone.test', 80, 1, 0),
    srv('one.test', 8081, 3, 5),
    srv('two.test', 8082, 0, 5),
    srv('spare.test', 8083, 1, 9),
  ])
  server.zone.set('one.test', [a('10.0.0.1')])
  server.zone.set('two.test', [a('10.0.0.2')])
  server.zone.set('spare.test', [a('10.0.0.3')])
  const { until } = follow({ nameOf: (service) => `_http._tcp.${service}.test` })
  const { instances } = await until(({ revision }) => revision === 1)
  expect(instances).toEqual([
    { id: 'orders@10.0.0.1:8081', service: 'orders', host: '10.0.0.1', port: 8081, weight: 3 },
    { id: 'orders@10.0.0.2:8082', service: 'orders', host: '10.0.0.2', port: 8082, weight: 1 },
  ])
})

test('a name that is gone keeps the last snapshot, marked stale, until it is back', async () => {
  server.zone.set('orders.shop.test', [a('10.0.0.1')])
  const { until, hosts } = follow({ port: 80 })
  await until(({ revision }) => revision === 1)
  server.zone.delete('orders.shop.test')
  const stale = await until((snapshot) => snapshot.stale)
  expect([stale.revision, hosts(stale)]).toEqual([1, ['10.0.0.1:80']])
  server.zone.set('orders.shop.test', [a('10.0.0.1')])
  expect((await until((snapshot) => !snapshot.stale)).revision).toBe(1)
  // There, but without addresses: no data, which is no list of none either.
  server.zone.set('orders.shop.test', [srv('x.test', 1)])
  expect(hosts(await until((snapshot) => snapshot.stale))).toEqual(['10.0.0.1:80'])
})

test('a server that falls silent makes it stale; when it answers again, it is not', async () => {
  server.zone.set('orders.shop.test', [a('10.0.0.1')])
  const { until, hosts } = follow({ port: 80 })
  await until(({ revision }) => revision === 1)
  server.silent = true
  expect(hosts(await until(({ stale }) => stale))).toEqual(['10.0.0.1:80'])
  server.silent = false
  await until(({ stale }) => !stale)
})

test('a name that never was is stale and empty', async () => {
  const { until } = follow({ port: 80 })
  expect(await until(({ stale }) => stale)).toEqual({ instances: [], revision: 0, stale: true })
})
