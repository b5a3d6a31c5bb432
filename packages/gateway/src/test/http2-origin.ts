import { once } from 'node:events'
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { SERVER } from './certificates.ts'

/** A server of HTTP/2 on a free port that ends with the test. */
export interface Http2Origin {
  readonly port: number
  /** `127.0.0.1:port`. */
  readonly address: string
  readonly url: string
  readonly sessions: ReadonlySet<ServerHttp2Session>
  kill(): void
}

/** Starts one, with prior knowledge, or over TLS. */
export async function http2Origin(
  handle: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, fields: readonly string[]) => void,
  { isTls = false, maxConcurrentStreams = 100, port = 0 } = {},
): Promise<Http2Origin> {
  const settings = { maxConcurrentStreams }
  const server: Http2Server | Http2SecureServer = isTls
    ? createSecureServer({ cert: SERVER.cert, key: SERVER.key, settings })
    : createServer({ settings })
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => undefined).on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _: number, fields: readonly string[]) => {
    stream.on('error', () => undefined)
    handle(stream, headers, fields)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const taken = (server.address() as AddressInfo).port
  const kill = () => {
    if (!server.listening) return
    server.close()
    for (const session of sessions) session.destroy()
  }
  onTestFinished(kill)
  return { port: taken, address: `127.0.0.1:${taken}`, url: `${isTls ? 'https' : 'http'}://127.0.0.1:${taken}`, sessions, kill }
}
