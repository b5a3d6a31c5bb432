import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { importPeer } from '../peers.ts'
import { type GatewaySubject, HASTY, httpServerOptions } from './subject.ts'

interface Route {
  readonly prefix: string
  readonly target: string
  readonly timeout?: number
}

type FastGateway = (options: { restana: { server: Server }; routes: readonly Route[] }) => {
  start(port: number, host: string): Promise<Server>
}

/** `fast-gateway` as its page shows it; its connections are kept by default. */
export const fastGateway: GatewaySubject = {
  async serve({ originPort, isHasty }) {
    const { default: gateway } = await importPeer<{ default: FastGateway }>('fast-gateway')
    const server = createServer(httpServerOptions(isHasty))
    const route = { prefix: '', target: `http://127.0.0.1:${originPort}`, ...(isHasty && { timeout: HASTY.upstreamMs }) }
    await gateway({ restana: { server }, routes: [route] }).start(0, '127.0.0.1')
    // A server that listens on a port has an address of this kind.
    return { port: (server.address() as AddressInfo).port }
  },
}
