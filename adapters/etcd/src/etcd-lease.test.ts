import { expect, test } from 'vitest'
import { unavailable } from './etcd-error.ts'
import type { EtcdHttp } from './etcd-http.ts'
import { etcdLease } from './etcd-lease.ts'

const instance = { id: 'o-1', service: 'orders', host: '127.0.0.1', port: 3001 }
const { signal } = new AbortController()

/** An etcd that grants leases by number and keeps what is put; `refuses` makes it fail a path. */
function setUp() {
  const leases = new Set<string>()
  const puts: string[] = []
  let refused = ''
  let granted = 0
  const http: EtcdHttp = {
    async call(path, body) {
      if (path === refused) throw unavailable('http://etcd', 'away')
      const { ID = '', lease = '' }: { ID?: string; lease?: string } = body
      if (path === '/v3/lease/keepalive') return { result: leases.has(ID) ? { TTL: '1' } : {} }
      if (path === '/v3/kv/range') return { count: String(puts.length) }
      if (path === '/v3/kv/put') puts.push(lease)
      if (path !== '/v3/lease/grant') return {}
      granted += 1
      leases.add(String(granted))
      return { ID: String(granted) }
    },
    stream: () => {
      throw new Error('not here')
    },
    close: async () => {},
  }
  return {
    lease: etcdLease({ http, instance, root: '/r', ttlMs: 1_000 }),
    leases,
    puts,
    refuses(path: string) {
      refused = path
    },
  }
}

test('a lease taken anew whose key could not be put is not kept: the instance goes on registering', async () => {
  const { lease, leases, puts, refuses } = setUp()
  await lease.register(1_000, signal)
  leases.clear()
  refuses('/v3/kv/put')
  expect(await lease.renew(signal)).toBe('unknown')
  await expect(lease.register(1_000, signal)).rejects.toMatchObject({ code: 'ERR_REGISTRY_UNAVAILABLE' })
  refuses('')
  expect(await lease.renew(signal)).toBe('unknown')
  await lease.register(1_000, signal)
  expect(await lease.renew(signal)).toBe('heard')
  expect(puts).toEqual(['1', '3'])
})
