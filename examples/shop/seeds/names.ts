// The shop under the names and paths that the file of the seeds has: services that are called otherwise and begin elsewhere.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'
import type { Registry } from '@banyan/core'
import { createRemoteJWKSet, jwtVerify } from 'jose'

/** Where a request to one of these names goes. */
interface Door {
  readonly port: number
  /** The path there. */
  readonly path: (path: string) => string
  /** Finds out who calls, where the gateway has not: the services of the seeds look at tokens themselves. */
  readonly subject?: (token: string) => Promise<string | undefined>
}

const asIs = (path: string) => path

/** Opens the doors and registers their names; resolves with what closes them. */
export async function seedNames(registry: Registry, shopUrl: string): Promise<() => Promise<void>> {
  const shopPort = Number(new URL(shopUrl).port)
  const [orders, catalog, payments, inventory, users] = await Promise.all(
    ['orders', 'catalog', 'payments', 'inventory', 'users'].map((service) => portOf(registry, service)),
  )
  const servers: Server[] = []
  const open = async (door: Door, port = 0) => {
    const server = createServer((incoming, outgoing) => void forward(incoming, outgoing, door))
    servers.push(server)
    return listen(server, port)
  }
  const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${users}/.well-known/jwks.json`))
  const subject = (token: string) =>
    jwtVerify(token, keys, { audience: 'shop' }).then(
      ({ payload }) => payload.sub,
      () => undefined,
    )
  const orderPath = (path: string) => (path.startsWith('/orders') ? path : `/orders${path === '/' ? '' : path}`)
  const names: readonly [string, Door][] = [
    ['order-service', { port: orders ?? 0, path: orderPath, subject }],
    ['product-service', { port: catalog ?? 0, path: (path) => `/products${path === '/' ? '' : path}` }],
    ['payment-service', { port: payments ?? 0, path: asIs }],
    ['inventory-service', { port: inventory ?? 0, path: asIs }],
  ]
  for (const [service, door] of names) {
    await registry.register({ id: service, service, host: '127.0.0.1', port: await open(door) })
  }
  await open({ port: users ?? 0, path: asIs }, 9_001)
  // Everything else: the shop's own front door, and behind it the monolith.
  await open({ port: shopPort, path: asIs }, 9_100)
  return async () => {
    for (const server of servers) {
      server.close()
      server.closeAllConnections()
    }
  }
}

function portOf(registry: Registry, service: string): Promise<number> {
  return new Promise((resolve) => {
    const watch = registry.watch(service, ({ instances }) => {
      const [first] = instances
      if (!first) return
      watch.stop()
      resolve(first.port)
    })
  })
}

async function forward(incoming: IncomingMessage, outgoing: ServerResponse, { port, path, subject }: Door): Promise<void> {
  const { method, url = '/' } = incoming
  const headers = { ...incoming.headers }
  const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
  if (subject && token && headers['x-auth-subject'] === undefined) headers['x-auth-subject'] = await subject(token)
  if (headers['x-auth-subject'] === undefined) delete headers['x-auth-subject']
  const onward = request({ host: '127.0.0.1', port, method, path: path(url), headers })
  onward.on('error', () => outgoing.destroy())
  // Who left has no use for an answer.
  outgoing.once('close', () => onward.destroy())
  if (incoming.destroyed) return void onward.destroy()
  onward.once('response', (answer) => {
    if (outgoing.destroyed) return answer.destroy()
    outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    pipeline(answer, outgoing, () => undefined)
  })
  pipeline(incoming, onward, () => undefined)
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new Error(`port ${port} of the seeds' file cannot be had: ${cause.message}`, { cause })))
    server.listen(port, '127.0.0.1', resolve)
  })
  return (server.address() as AddressInfo).port
}
