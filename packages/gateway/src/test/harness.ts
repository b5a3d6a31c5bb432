import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import type { Logger, Registry } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { onTestFinished } from 'vitest'
import type { GatewayConfig } from '../config.ts'
import { type Gateway, type GatewayOptions, gateway } from '../gateway.ts'

/** A server on a free port that ends with the test. */
export interface Origin {
  readonly port: number
  readonly url: string
  /** `127.0.0.1:port`. */
  readonly address: string
  readonly server: Server
  /** Cuts every connection and closes. */
  kill(): Promise<void>
}

/** Starts an HTTP server. */
export async function origin(handler: RequestListener): Promise<Origin> {
  const server = createServer(async (request, response) => {
    // A request that is cut short makes an async handler reject, as it would in a framework, which hangs up then.
    await Promise.resolve(handler(request, response)).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const kill = async () => {
    if (!server.listening) return
    server.close()
    server.closeAllConnections()
  }
  onTestFinished(kill)
  return { port, url: `http://127.0.0.1:${port}`, address: `127.0.0.1:${port}`, server, kill }
}

/** An origin that answers each request with what it saw of it, as JSON. */
export function echo(name = 'echo'): Promise<Origin> {
  return origin(async (request, response) => {
    const body = await bodyOf(request)
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({ name, method: request.method, url: request.url, raw: request.rawHeaders, headers: request.headers, body }),
    )
  })
}

/** What {@link echo} answers. */
export interface Echo {
  name: string
  method: string
  url: string
  raw: string[]
  headers: Record<string, string | undefined>
  body: string
}

/** Starts a TCP server that hands each connection to `handle`. */
export async function rawOrigin(handle: (socket: Socket) => void): Promise<{ port: number; address: string }> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy())
    handle(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, address: `127.0.0.1:${port}` }
}

/** An origin that answers each request's head with these bytes and closes. */
export function rawAnswer(bytes: string): Promise<{ port: number; address: string }> {
  return rawOrigin((socket) => {
    socket.once('data', () => socket.end(bytes, 'latin1'))
  })
}

/** A port that nobody listens on. */
export async function closedPort(): Promise<number> {
  const server = createTcpServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** One line of a gateway's log. */
export interface LogLine {
  readonly level: string
  readonly message: string
  readonly [field: string]: unknown
}

export interface Running {
  readonly gateway: Gateway
  readonly url: string
  readonly port: number
  readonly adminUrl: string
  readonly log: readonly LogLine[]
}

/** Starts a gateway on a free port that stops with the test. `services`: addresses by service name. */
export async function start(
  config: GatewayConfig,
  services: Record<string, string[]> | Registry = {},
  more: Partial<GatewayOptions> = {},
): Promise<Running> {
  const lines: LogLine[] = []
  const write = (level: string) => (fields: object, message: string) => void lines.push({ ...fields, level, message })
  const log: Logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const registry = typeof services.watch === 'function' ? (services as Registry) : staticRegistry(services as Record<string, string[]>)
  const made = gateway({ config: { drain_ms: 200, linger_ms: 0, ...config }, registry, host: '127.0.0.1', port: 0, admin: 0, log, ...more })
  const { url, port, adminUrl = '' } = await made.start()
  onTestFinished(() => made.stop())
  return { gateway: made, url, port, adminUrl, log: lines }
}

/** Writes bytes to a port and gives back all that comes until the other side closes. */
export async function rawRequest(port: number, ...parts: (string | (() => Promise<unknown>))[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    received += chunk
  })
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.on('error', () => socket.destroy())
  for (const part of parts) {
    if (typeof part === 'string') socket.write(part, 'latin1')
    else await part()
  }
  const timer = setTimeout(() => socket.destroy(new Error('the other side keeps the connection')), 8_000)
  await closed
  clearTimeout(timer)
  return received
}

/** The status of a raw answer. */
export function statusOf(raw: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(raw)?.[1] ?? 0)
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Resolves when `isTrue` is; fails after 5 s. */
export async function until(isTrue: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 5_000
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`waited 5 s for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
