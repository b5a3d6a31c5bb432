import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type GatewaySubject, HELLO } from './subject.ts'

/** The floor: `node:http` that answers itself. It is the origin too where nginx is not installed. */
export const nodeHttp: GatewaySubject = {
  serve() {
    const headers = { 'content-type': 'text/plain', 'content-length': HELLO.length }
    const server = createServer((_, response) => response.writeHead(200, headers).end(HELLO))
    return new Promise((resolve) => {
      // A server that listens on a port has an address of this kind.
      server.listen(0, '127.0.0.1', () => resolve({ port: (server.address() as AddressInfo).port }))
    })
  },
}
