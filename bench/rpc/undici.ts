import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { Agent } from 'undici'
import { type Address, type Order, type RpcSubject, reserve, type Stock } from './subject.ts'

/** Nothing but HTTP and JSON: no contract, no deadline, no policy. */
export function undiciTo(server: 'node' | 'hono'): RpcSubject {
  return {
    serve: server === 'node' ? serveNode : serveHono,
    async connect({ port }) {
      const agent = new Agent()
      const target = { origin: `http://127.0.0.1:${port}`, path: '/reservations', method: 'POST' as const }
      const headers = { 'content-type': 'application/json' }
      return async (order: Order) => {
        const { body } = await agent.request({ ...target, headers, body: JSON.stringify(order) })
        // The server of this file answers nothing else.
        return (await body.json()) as Stock
      }
    },
  }
}

function serveNode(): Promise<Address> {
  const server = createServer(async (request, response) => {
    const answer = JSON.stringify(reserve(JSON.parse(await textOf(request))))
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) })
    response.end(answer)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ port: (server.address() as AddressInfo).port }))
  })
}

function textOf(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => {
      text += chunk
    })
    request.on('end', () => resolve(text))
    request.on('error', reject)
  })
}

function serveHono(): Promise<Address> {
  const app = new Hono()
  app.post('/reservations', async (context) => context.json(reserve(await context.req.json())))
  return new Promise((resolve) => {
    serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => resolve({ port }))
  })
}
