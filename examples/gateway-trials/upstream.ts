// A service: answers GET, and does what a POST asks, which it notes in a file before it answers. node upstream.ts <port> <file>
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What it says: where it listens; or how many requests have come, when it is asked. */
export type UpstreamMessage = { readonly port: number } | { readonly requests: number }

const [port = '0', effects = ''] = process.argv.slice(2)
let requests = 0
let isFailing = false

const server = createServer((request, response) => {
  requests += 1
  const id = request.headers['x-order']
  request.resume().on('end', () => {
    if (isFailing) response.statusCode = 503
    else if (request.method === 'POST' && typeof id === 'string') appendFileSync(effects, `${id}\n`)
    // Long enough that some are under way when the process is killed.
    setTimeout(() => response.end('{"good":true}'), isFailing ? 0 : Math.random() * 5)
  })
})

process.on('message', (order: { fail?: boolean; count?: true }) => {
  if (order.fail !== undefined) isFailing = order.fail
  if (order.count) process.send?.({ requests } satisfies UpstreamMessage)
})
process.once('disconnect', () => process.exit(0))
// A server that listens on a port has an address of this kind.
server.listen(Number(port), '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port } satisfies UpstreamMessage))
