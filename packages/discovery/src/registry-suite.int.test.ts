import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RegistrySite, registrySuite, watchSuite } from '@banyan/testing'
import { consulRegistry } from './consul-client.ts'
import { type RegistryServer, registryServer } from './registry-server.ts'
import { staticRegistry } from './static-registry.ts'

const ttlMs = 1_500

async function site(): Promise<RegistrySite> {
  const folder = await mkdtemp(join(tmpdir(), 'banyan-registry-'))
  const stateFile = join(folder, 'registry.json')
  let server: RegistryServer = registryServer({ port: 0, stateFile })
  const { url, port } = await server.start()
  return {
    ttlMs,
    client: () => consulRegistry({ url, ttlMs, deregisterAfterMs: 0, waitMs: 1_000 }),
    stop: () => server.stop(),
    async start(empty = false) {
      if (empty) await rm(stateFile)
      server = registryServer({ port, stateFile })
      await server.start()
    },
    async close() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

registrySuite('the embedded registry', site)
watchSuite('the embedded registry', async () => {
  const { client, close } = await site()
  const registry = client()
  await registry.register({ id: 'a', service: 'orders', host: '127.0.0.1', port: 3001 })
  await registry.register({ id: 'b', service: 'orders', host: '::1', port: 3002 })
  const end = async () => {
    await registry.close()
    await close()
  }
  return { registry, service: 'orders', instances: ['127.0.0.1:3001', '::1:3002'], close: end }
})
watchSuite('a fixed list', async () => ({
  registry: staticRegistry({ orders: ['127.0.0.1:3001', '[::1]:3002'] }),
  service: 'orders',
  instances: ['127.0.0.1:3001', '::1:3002'],
  close: async () => {},
}))
