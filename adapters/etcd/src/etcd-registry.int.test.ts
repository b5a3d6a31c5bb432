import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { recordSnapshots, registrySuite, watchSuite } from '@banyan/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type EtcdRegistryOptions, etcdRegistry } from './etcd-registry.ts'
import { hasEtcd, leftOut, startEtcd } from './test/etcd-server.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const ttlMs = 1_000
const instance = (id: string, port: number) => ({ id, service: 'orders', host: '127.0.0.1', port })

function client(options: EtcdRegistryOptions) {
  const registry = etcdRegistry({ ttlMs, waitMs: 1_000, ...options })
  cleanups.push(() => registry.close())
  return registry
}

async function etcd(options: Parameters<typeof startEtcd>[0] = {}) {
  const server = await startEtcd(options)
  cleanups.push(() => server.close())
  return server
}

describe('a registry in etcd', () => {
  if (!hasEtcd()) {
    it.skip(leftOut)
    return
  }

  registrySuite('etcd', async () => {
    const { url, stop, start, close } = await startEtcd()
    return { ttlMs, client: () => etcdRegistry({ url, ttlMs, waitMs: 1_000 }), stop, start, close }
  })
  watchSuite('etcd', async () => {
    const { url, close } = await startEtcd()
    const registry = etcdRegistry({ url })
    await registry.register(instance('a', 3001))
    const end = async () => {
      await registry.close()
      await close()
    }
    return { registry, service: 'orders', instances: ['127.0.0.1:3001'], close: end }
  })

  it('lists again when the revisions it would go on from have been compacted', async () => {
    const server = await etcd()
    const upstream = new Gate(server.url)
    const url = await upstream.start()
    const heard = recordSnapshots()
    client({ url }).watch('orders', heard.take)
    await heard.until(({ revision }) => revision > 0)
    const other = client({ url: server.url })
    await other.register(instance('o-1', 3001))
    await heard.until(({ instances }) => instances.length === 1)
    // While the watcher is cut off, the past that it would ask for is thrown away.
    upstream.cut()
    await heard.until(({ stale }) => stale)
    await other.register(instance('o-2', 3002))
    const { header } = await server.call('/v3/kv/range', { key: 'Zm9v' })
    await server.call('/v3/kv/compaction', { revision: (header as { revision: string }).revision }) // as etcd answers
    upstream.heal()
    await heard.until(({ instances, stale }) => instances.length === 2 && !stale)
  })

  it('notices a watch that leads nowhere: the snapshot is stale, then current', async () => {
    const server = await etcd()
    const upstream = new Gate(server.url)
    const url = await upstream.start()
    const heard = recordSnapshots()
    client({ url, waitMs: 200 }).watch('orders', heard.take)
    await client({ url: server.url }).register(instance('o-1', 3001))
    await heard.until(({ instances }) => instances.length === 1)
    upstream.swallow()
    expect((await heard.until(({ stale }) => stale)).instances).toHaveLength(1)
    upstream.heal()
    await heard.until(({ stale }) => !stale)
  })

  it('asks the next member when one cannot be reached', async () => {
    const { url } = await etcd()
    const registry = client({ url: ['http://127.0.0.1:1', url] })
    const heard = recordSnapshots()
    registry.watch('orders', heard.take)
    await registry.register(instance('o-1', 3001))
    await heard.until(({ instances }) => instances.length === 1)
  })

  it('registers again when its lease was taken away', async () => {
    const server = await etcd()
    const heard = recordSnapshots()
    client({ url: server.url }).watch('orders', heard.take)
    await client({ url: server.url }).register(instance('o-1', 3001))
    await heard.until(({ instances }) => instances.length === 1)
    const { leases } = await server.call('/v3/lease/leases', {})
    for (const { ID } of leases as { ID: string }[]) await server.call('/v3/lease/revoke', { ID }) // as etcd answers
    await heard.until(({ instances }) => instances.length === 0)
    await heard.until(({ instances }) => instances.length === 1)
  })

  it('passes over what somebody else put among its keys', async () => {
    const server = await etcd()
    const key = Buffer.from('/banyan/services/orders/odd').toString('base64')
    await server.call('/v3/kv/put', { key, value: Buffer.from('no JSON').toString('base64') })
    const heard = recordSnapshots()
    client({ url: server.url }).watch('orders', heard.take)
    await client({ url: server.url }).register(instance('o-1', 3001))
    expect((await heard.until(({ instances }) => instances.length > 0)).instances.map(({ id }) => id)).toEqual(['o-1'])
  })

  it('a process that leaves takes nobody out who has registered under its id since', async () => {
    const server = await etcd()
    const before = await client({ url: server.url }).register(instance('o-1', 3001))
    await client({ url: server.url }).register(instance('o-1', 3002))
    await before.deregister()
    const heard = recordSnapshots()
    client({ url: server.url }).watch('orders', heard.take)
    expect((await heard.until(({ revision }) => revision > 0)).instances.map(({ port }) => port)).toEqual([3002])
  })

  it('an instance whose key was deleted while it lives puts it again', async () => {
    const server = await etcd()
    const heard = recordSnapshots()
    client({ url: server.url }).watch('orders', heard.take)
    await client({ url: server.url }).register(instance('o-1', 3001))
    await heard.until(({ instances }) => instances.length === 1)
    await server.call('/v3/kv/deleterange', { key: Buffer.from('/banyan/services/orders/o-1').toString('base64') })
    await heard.until(({ instances }) => instances.length === 0)
    await heard.until(({ instances }) => instances.length === 1)
  })

  it('keeps many that die at once for a while, and drops those that say so at once', async () => {
    const server = await etcd()
    const { url } = server
    const heard = recordSnapshots()
    const said: string[] = []
    const log = { debug() {}, info() {}, warn: (_: object, message: string) => void said.push(message), error() {} }
    client({ url, log, massExpiry: { verifyMs: 4_000 } }).watch('orders', heard.take)
    const dying = client({ url })
    for (const i of [1, 2, 3, 4]) await dying.register(instance(`o-${i}`, 3000 + i))
    const leaving = [await client({ url }).register(instance('o-5', 3005)), await client({ url }).register(instance('o-6', 3006))]
    await heard.until(({ instances }) => instances.length === 6)
    await Promise.all(leaving.map((one) => one.deregister()))
    await heard.until(({ instances }) => instances.length === 4)
    expect(said).toEqual([])
    await dying.close()
    const range = { key: Buffer.from('/banyan/').toString('base64'), range_end: Buffer.from('/banyan0').toString('base64') }
    // Etcd leaves out a count of none.
    await vi.waitUntil(async () => !('count' in (await server.call('/v3/kv/range', { ...range, count_only: true }))), { timeout: 20_000 })
    // Etcd ends leases one by one: the first may have gone before there were many.
    expect(heard.seen.at(-1)?.instances.length).toBeGreaterThanOrEqual(3)
    await heard.until(({ instances }) => instances.length === 0, 30_000)
    expect(said).toEqual([expect.stringContaining('many instances of "orders" would go at once')])
  })

  it('signs in where etcd asks who it is, again when its token has run out, and says when it may not', async () => {
    const server = await etcd()
    for (const name of ['root', 'shop']) {
      await server.call('/v3/auth/user/add', { name, password: 'secret' })
      await server.call('/v3/auth/role/add', { name })
      await server.call('/v3/auth/user/grant', { user: name, role: name })
    }
    const range = { key: Buffer.from('/banyan/').toString('base64'), range_end: Buffer.from('/banyan0').toString('base64') }
    await server.call('/v3/auth/role/grant', { name: 'shop', perm: { permType: 'READWRITE', ...range } })
    await server.call('/v3/auth/enable', {})
    const auth = { user: 'shop', password: 'secret' }
    const heard = recordSnapshots()
    const registry = client({ url: server.url, auth })
    registry.watch('orders', heard.take)
    await registry.register(instance('o-1', 3001))
    await heard.until(({ instances }) => instances.length === 1)
    // Its tokens are not known to an etcd that starts anew.
    await server.stop()
    await heard.until(({ stale }) => stale)
    await server.start()
    await heard.until(({ instances, stale }) => instances.length === 1 && !stale, 30_000)
    const wrong = client({ url: server.url, auth: { user: 'shop', password: 'guess' } })
    await expect(wrong.register(instance('o-2', 3002))).rejects.toMatchObject({ code: 'ERR_REGISTRY_REFUSED' })
    const elsewhere = client({ url: server.url, auth, root: '/somebody-elses' })
    await expect(elsewhere.register(instance('o-3', 3003))).rejects.toMatchObject({
      code: 'ERR_REGISTRY_REFUSED',
      message: expect.stringContaining('permission denied'),
    })
  })

  it('signs in again when users were changed since, where tokens are signed (JWT)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'banyan-jwt-'))
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
    const [pub, priv] = [join(folder, 'pub.pem'), join(folder, 'priv.pem')]
    writeFileSync(pub, publicKey.export({ type: 'spki', format: 'pem' }))
    writeFileSync(priv, privateKey.export({ type: 'pkcs1', format: 'pem' }))
    const server = await etcd({ args: ['--auth-token', `jwt,pub-key=${pub},priv-key=${priv},sign-method=RS256,ttl=10m`] })
    await server.call('/v3/auth/user/add', { name: 'root', password: 'secret' })
    await server.call('/v3/auth/role/add', { name: 'root' })
    await server.call('/v3/auth/user/grant', { user: 'root', role: 'root' })
    await server.call('/v3/auth/enable', {})
    const registry = client({ url: server.url, auth: { user: 'root', password: 'secret' } })
    await registry.register(instance('o-1', 3001))
    const { token } = await server.call('/v3/auth/authenticate', { name: 'root', password: 'secret' })
    await server.call('/v3/auth/user/add', { name: 'another', password: 'secret' }, String(token))
    await registry.register(instance('o-2', 3002))
    const heard = recordSnapshots()
    registry.watch('orders', heard.take)
    await heard.until(({ instances }) => instances.length === 2)
  })

  it('says when etcd stays away', async () => {
    const registry = client({ url: 'http://127.0.0.1:1', registerTimeoutMs: 300 })
    await expect(registry.register(instance('o-1', 3001))).rejects.toMatchObject({ code: 'ERR_REGISTRY_UNAVAILABLE' })
  })

  describe('over TLS', () => {
    if (spawnSync('openssl', ['version']).error) {
      it.skip('left out: there is no openssl here to make certificates; "apt-get install openssl" brings it')
      return
    }

    it('trusts the authority it was given and shows its own certificate; without either it is refused', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'banyan-tls-'))
      cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
      const file = makeCertificates(folder)
      const { url } = await etcd({
        scheme: 'https',
        args: [
          '--cert-file',
          file('server.crt'),
          '--key-file',
          file('server.key'),
          '--client-cert-auth',
          '--trusted-ca-file',
          file('ca.crt'),
        ],
      })
      const pem = (name: string) => readFileSync(file(name), 'utf8')
      const tls = { ca: pem('ca.crt'), cert: pem('client.crt'), key: pem('client.key') }
      const heard = recordSnapshots()
      const registry = client({ url, tls })
      registry.watch('orders', heard.take)
      await registry.register(instance('o-1', 3001))
      await heard.until(({ instances }) => instances.length === 1)
      for (const less of [{ ca: tls.ca }, { cert: tls.cert, key: tls.key }]) {
        const untrusted = client({ url, tls: less, registerTimeoutMs: 0 })
        await expect(untrusted.register(instance('o-2', 3002))).rejects.toMatchObject({ code: 'ERR_REGISTRY_UNAVAILABLE' })
      }
    })
  })
})

describe('options of a registry in etcd', () => {
  it.each([
    [{ url: 'ftp://x' }, 'wanted an http or https address'],
    [{ url: [] }, '"url" has no address'],
    [{ url: 'http://x', root: 'services' }, '"root" is "services"'],
    [{ url: 'http://x', root: '/services/' }, '"root" is "/services/"'],
    [{ url: 'http://x', ttlMs: 10 }, '"ttlMs" is 10, wanted 1000 to 86400000'],
  ])('are refused when they cannot be: %j', (options, message) => {
    expect(() => etcdRegistry(options)).toThrow(message)
  })
})

function makeCertificates(folder: string): (name: string) => string {
  const file = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
  }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  openssl('req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.crt'), '-subj', '/CN=authority')
  for (const name of ['server', 'client']) {
    const signed = ['-x509', '-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-addext', 'subjectAltName=IP:127.0.0.1']
    openssl('req', ...key, ...signed, '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`), '-subj', `/CN=${name}`)
  }
  return file
}

/** Stands between a client and etcd: passes on, refuses, or accepts and never replies. */
class Gate {
  readonly #target: string
  readonly #server: Server
  #mode: 'pass' | 'cut' | 'swallow' = 'pass'

  constructor(target: string) {
    this.#target = target
    this.#server = createServer((request, response) => {
      if (this.#mode === 'swallow') return
      if (this.#mode === 'cut') return request.socket.destroy()
      const gone = new AbortController()
      response.once('close', () => gone.abort())
      void (async () => {
        const body = await text(request)
        const answer = await fetch(`${this.#target}${request.url}`, { method: 'POST', body, signal: gone.signal })
        response.writeHead(answer.status)
        for await (const chunk of answer.body ?? []) if (this.#mode === 'pass') response.write(chunk)
        if (this.#mode === 'pass') response.end()
      })().catch(() => response.destroy())
    })
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => {
      this.#server.closeAllConnections()
      this.#server.close()
    })
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}` // it listens on TCP
  }

  cut(): void {
    this.#mode = 'cut'
    this.#server.closeAllConnections()
  }

  swallow(): void {
    this.#mode = 'swallow'
  }

  heal(): void {
    this.#mode = 'pass'
    this.#server.closeAllConnections()
  }
}
