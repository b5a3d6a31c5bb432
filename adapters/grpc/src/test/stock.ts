import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { api, CodedError, type Instance, type Registry, refuse, type Snapshot } from '@banyan/core'
import { type Handlers, type RunningService, type Service, type ServiceOptions, serve, service } from '@banyan/service'
import { z } from 'zod'
import { type GrpcOptions, grpc } from '../index.ts'

const Item = z.object({ sku: z.string(), left: z.int() })

export const stockApi = api('stock', {
  operations: {
    list: {
      method: 'GET',
      path: '/stock',
      query: z.object({ page: z.coerce.number().default(1) }),
      response: z.array(Item),
      protocols: ['http', 'grpc'],
    },
    get: { method: 'GET', path: '/stock/{sku}', response: Item, protocols: ['grpc'] },
    reserve: {
      method: 'POST',
      path: '/stock/{sku}/reservations',
      body: z.strictObject({ quantity: z.int().min(1), note: z.string().optional() }),
      response: Item,
      refusals: ['sold-out'],
      idempotencyKey: 'required',
      protocols: ['http', 'grpc'],
    },
    drop: { method: 'DELETE', path: '/stock/{sku}', protocols: ['grpc'] },
    slow: { method: 'GET', path: '/slow', response: z.object({ remainingMs: z.number() }), protocols: ['grpc'] },
    count: { method: 'PUT', path: '/count', body: z.object({ names: z.array(z.string().max(10)) }), protocols: ['grpc'] },
    find: { method: 'GET', path: '/find/{query}', response: z.array(Item), protocols: ['grpc'] },
    inside: { method: 'GET', path: '/inside', response: z.string() },
  },
})

/** What handlers saw. */
export interface Seen {
  headers: Readonly<Record<string, string>>[]
  keys: (string | undefined)[]
  /** Resolves when the running `slow` is aborted. */
  aborted: Promise<unknown>
  /** Ends the running `slow`. */
  finish: () => void
  /** Resolves when `slow` runs. */
  running: Promise<void>
}

export function stockHandlers(): { handlers: Handlers<typeof stockApi>; seen: Seen } {
  const aborted = Promise.withResolvers<unknown>()
  const finish = Promise.withResolvers<void>()
  const running = Promise.withResolvers<void>()
  const seen: Seen = { headers: [], keys: [], aborted: aborted.promise, finish: finish.resolve, running: running.promise }
  const handlers: Handlers<typeof stockApi> = {
    list: ({ query }) => [{ sku: `page-${query.page}`, left: 1 }],
    get({ params, headers }) {
      seen.headers.push(headers)
      if (params.sku === 'none') throw new CodedError('ERR_NONE', 'there is no "none"', { status: 404 })
      if (params.sku === 'defect') throw new Error('secret')
      return { sku: params.sku, left: 3 }
    },
    reserve({ params, body, key }) {
      seen.keys.push(key)
      return body.quantity > 10 ? refuse('sold-out', 'only 10 left') : { sku: params.sku, left: 10 - body.quantity }
    },
    drop: () => {},
    async slow(_, { signal, remainingMs }) {
      running.resolve()
      signal.addEventListener('abort', () => aborted.resolve(signal.reason))
      await Promise.race([finish.promise, aborted.promise])
      return { remainingMs }
    },
    count: () => {},
    find: ({ params }) => [{ sku: params.query, left: 1 }],
    inside: () => 'inside',
  }
  return { handlers, seen }
}

/** A registry in memory. */
export function memoryRegistry(): Registry & { readonly instances: Instance[] } {
  const instances: Instance[] = []
  const watchers = new Set<(snapshot: Snapshot) => void>()
  let revision = 1
  const tell = () => {
    revision += 1
    for (const watcher of watchers) watcher({ instances: [...instances], revision, stale: false })
  }
  return {
    instances,
    async register(instance) {
      instances.push(instance)
      tell()
      return {
        async deregister() {
          instances.splice(instances.indexOf(instance), 1)
          tell()
        },
      }
    },
    watch(_, onChange) {
      watchers.add(onChange)
      onChange({ instances: [...instances], revision, stale: false })
      return { stop: () => void watchers.delete(onChange) }
    },
  }
}

/** A service that answers {@link stockApi} over HTTP and gRPC. */
export async function startStock(
  options: Partial<GrpcOptions> & { registry?: Registry; service?: ServiceOptions; extra?: Parameters<Service['use']>[0] } = {},
): Promise<{ stock: Service; running: RunningService; seen: Seen; port: number; registry: Registry }> {
  const { registry = memoryRegistry(), service: serviceOptions, extra, ...grpcOptions } = options
  const { handlers, seen } = stockHandlers()
  const stock = service('stock', { registry, drainMs: 0, finishMs: 2_000, ...serviceOptions })
  let port = 0
  stock.use(serve(stockApi, handlers))
  stock.use(grpc({ contracts: [{ api: stockApi }], ...grpcOptions }))
  if (extra) stock.use(extra)
  const running = await stock.start()
  registry.watch('stock', ({ instances }) => {
    port = Number(instances.find(({ id }) => id === running.instanceId)?.meta?.['grpc-port'] ?? port)
  })
  return { stock, running, seen, port, registry }
}

/** A port on which HTTP/2 is spoken and no call is ever answered. */
export async function silentServer(): Promise<{ port: number; close: () => void }> {
  const server = createServer(() => {})
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', (session) => sessions.add(session))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      for (const session of sessions) session.destroy()
    },
  }
}

/** For bare clients of a test: grpc-js would go through the proxy of an environment that has one. */
export const NO_PROXY = { 'grpc.enable_http_proxy': 0 } as const
