import { importPeer } from '../peers.ts'
import { type GatewaySubject, HASTY, httpServerOptions } from './subject.ts'

/** What this benchmark uses of Fastify. */
interface Fastify {
  register(plugin: unknown, options: object): Promise<void>
  listen(options: { host: string; port: number }): Promise<string>
}

/** `@fastify/http-proxy` as its page shows it: undici's pool of 128 connections, no logger. */
export const fastifyHttpProxy: GatewaySubject = {
  async serve({ originPort, isHasty }) {
    const { default: fastify } = await importPeer<{ default: (options: object) => Fastify }>('fastify')
    const { default: httpProxy } = await importPeer<{ default: unknown }>('@fastify/http-proxy')
    const app = fastify({ logger: false, ...(isHasty && { http: httpServerOptions(true), requestTimeout: HASTY.bodyMs }) })
    const patience = isHasty && { undici: { headersTimeout: HASTY.upstreamMs, bodyTimeout: HASTY.upstreamMs } }
    await app.register(httpProxy, { upstream: `http://127.0.0.1:${originPort}`, ...patience })
    return { port: Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port) }
  },
}
