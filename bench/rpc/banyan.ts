import { api, type Instance, type Registry } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { client, framed, framedTransport, httpTransport, serve, service } from '@banyan/service'
import { z } from 'zod'
import { type RpcSubject, reserve } from './subject.ts'
import { handTraceContextOn } from './trace-context.ts'

const stockApi = api('stock', {
  operations: {
    reserve: {
      method: 'POST',
      path: '/reservations',
      body: z.strictObject({ product: z.string().min(1), quantity: z.int().min(1).max(1_000), note: z.string() }),
      response: z.object({ product: z.string(), left: z.int() }),
    },
  },
})

/** As it comes: contract on both sides, deadline, retry, breaker, bulkhead, balancing; trace context where telemetry is set up (`traced`). */
export function banyan(over: 'http' | 'framed', traced: boolean): RpcSubject {
  if (traced) handTraceContextOn()
  return {
    async serve() {
      const registry = memoryRegistry()
      const stock = service('stock', { registry })
      stock.use(serve(stockApi, { reserve: ({ body }) => reserve(body) }))
      if (over === 'framed') stock.use(framed())
      const { port } = await stock.start()
      return { port, meta: registry.meta() }
    },
    async connect({ port, meta = {} }) {
      const registry = staticRegistry({ stock: [{ host: '127.0.0.1', port, meta }] })
      const transport = over === 'framed' ? framedTransport({ registry }) : httpTransport({ registry })
      const stock = client(stockApi, { transport })
      return (order) => stock.reserve({ body: order })
    },
  }
}

/** Takes what the service says of itself, for the client's process. */
function memoryRegistry(): Registry & { meta(): Readonly<Record<string, string>> } {
  let said: Instance | undefined
  return {
    async register(instance) {
      said = instance
      return { async deregister() {} }
    },
    watch: () => ({ stop() {} }),
    meta: () => said?.meta ?? {},
  }
}
