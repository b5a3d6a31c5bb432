import { openSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { silentLogger } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { type GatewayConfig, gateway } from '@banyan/gateway'
import { startTelemetry } from '@banyan/otel'
import { createLogger } from '@banyan/service'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { type GatewaySubject, HASTY, type ServeOptions } from './subject.ts'

const IDLE: GatewayConfig = { routes: [] }

/** One route to an address, nothing else: no plugin, no log, no SDK for telemetry. */
export const banyan: GatewaySubject = {
  async serve(options) {
    const config = configOf(options)
    const running = gateway({ config, registry: staticRegistry({}), host: '127.0.0.1', port: 0, log: silentLogger })
    const { port } = await running.start()
    let changes = 0
    return {
      port,
      async changeRoute() {
        changes += 1
        await running.reload(configOf(options, changes))
      },
    }
  },
}

/** With all that a guarded route has: a token checked by a key set, a limit, metrics, a span a request, and a line in the access log. */
export const banyanFull: GatewaySubject = {
  async serve(options) {
    startTelemetry({ service: 'gateway', env: {} })
    const { jwks, token } = await issuer()
    const [route] = configOf(options).routes
    if (!route) throw new Error('wanted a route')
    const config: GatewayConfig = {
      ...IDLE,
      routes: [
        {
          ...route,
          plugins: [
            { name: 'jwt', config: { jwks, audience: 'shop', issuer: 'bench' } },
            { name: 'rate-limiting', config: { minute: 1_000_000_000, by: 'subject' } },
          ],
        },
      ],
    }
    const out = openSync('/dev/null', 'w')
    // As `banyan gateway run > /dev/null`: a line a request, written at once.
    const log = createLogger({ service: 'gateway', destination: { write: (line: string) => void writeSync(out, line) } })
    const { port } = await gateway({ config, registry: staticRegistry({}), host: '127.0.0.1', port: 0, log }).start()
    return { port, headers: { authorization: `Bearer ${token}` } }
  },
}

function configOf({ originPort, isHasty, moreRoutes }: ServeOptions, changes = 0): GatewayConfig {
  const url = `http://127.0.0.1:${originPort}`
  const more = Array.from({ length: moreRoutes }, (_, index) => ({ path: `/more/${index}`, url, timeout_ms: 5_000 }))
  const [changed] = more
  if (changed) changed.timeout_ms += changes % 1_000
  return {
    ...(isHasty && { headers_timeout_ms: HASTY.headMs, request_timeout_ms: HASTY.bodyMs, breaker: { minimum_calls: 1_000_000 } }),
    routes: [{ path: '/', url, max_body_bytes: 2 ** 31, ...(isHasty && { retries: 0, timeout_ms: HASTY.upstreamMs }) }, ...more],
  }
}

/** A key set, served once, and a token that it vouches for. */
async function issuer(): Promise<{ jwks: string; token: string }> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'RS256', use: 'sig' }] })
  const token = await new SignJWT({ sub: 'customer-7', scope: 'orders:read' })
    .setProtectedHeader({ alg: 'RS256', kid: 'k' })
    .setAudience('shop')
    .setIssuer('bench')
    .setExpirationTime('2h')
    .sign(privateKey)
  const server = createServer((_, response) => response.setHeader('content-type', 'application/json').end(keys)).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  // A server that listens on a port has an address of this kind.
  return { jwks: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`, token }
}
