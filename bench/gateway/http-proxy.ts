import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { importPeer } from '../peers.ts'
import { type GatewaySubject, HASTY, httpServerOptions } from './subject.ts'

/** What this benchmark uses of `http-proxy`. */
interface HttpProxy {
  createProxyServer(options: object): {
    web(request: IncomingMessage, response: ServerResponse): void
    on(event: 'error', listener: (error: Error, request: IncomingMessage, response: ServerResponse) => void): void
  }
}

/** `http-proxy` with an agent that keeps connections (by default it opens one a request), and the handler of errors that its page asks for. */
export const httpProxy: GatewaySubject = {
  async serve({ originPort, isHasty }) {
    const { default: module } = await importPeer<{ default: HttpProxy }>('http-proxy')
    const target = { host: '127.0.0.1', port: originPort }
    const agent = new Agent({ keepAlive: true })
    const proxy = module.createProxyServer({ target, agent, xfwd: true, ...(isHasty && { proxyTimeout: HASTY.upstreamMs }) })
    proxy.on('error', (_, __, response) => {
      if (response.headersSent) response.destroy()
      else response.writeHead(502).end()
    })
    const server = createServer(httpServerOptions(isHasty), (request, response) => proxy.web(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    // A server that listens on a port has an address of this kind.
    return { port: (server.address() as AddressInfo).port }
  },
}
