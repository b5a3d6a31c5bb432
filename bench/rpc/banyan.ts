import { api } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { client, httpTransport, serve, service } from '@banyan/service'
import { z } from 'zod'
import { type RpcSubject, reserve } from './subject.ts'

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

/** As it comes: contract on both sides, deadline, trace context, retry, breaker, bulkhead, balancing. */
export function banyan(_over: 'http' | 'framed'): RpcSubject {
  return {
    async serve() {
      const stock = service('stock')
      stock.use(serve(stockApi, { reserve: ({ body }) => reserve(body) }))
      const { port } = await stock.start()
      return { port }
    },
    async connect({ port }) {
      const transport = httpTransport({ registry: staticRegistry({ stock: [`127.0.0.1:${port}`] }) })
      const stock = client(stockApi, { transport })
      return (order) => stock.reserve({ body: order })
    },
  }
}
