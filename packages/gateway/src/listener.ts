import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import { type AddressInfo, Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Logger, sleep, type World } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import type { GatewayConfig } from './config.ts'
import { linksOf } from './early-hints.ts'
import { GatewayError } from './errors.ts'
import type { GatewayResponse } from './exchange.ts'
import type { HeaderList } from './headers.ts'
import { type Http2Front, http2Front } from './http2/front.ts'
import { splitByAlpn, splitByPreface } from './http2/split.ts'
import { type ListeningSocket, type ListenPlace, listen, socketOf } from './listening-socket.ts'
import type { Pipeline } from './pipeline.ts'
import { noBody } from './request-body.ts'
import { type ClientSide, type SendResult, sendResponse } from './respond.ts'
import { contextOptions, type TlsMaterial } from './tls-material.ts'
import { connectTunnel, writeRaw } from './tunnel.ts'
import { refuseUnread, type Unread, unreadBy } from './unread.ts'

/** How a {@link Listener} listens. */
export interface ListenerOptions {
  readonly place: ListenPlace
  /** To speak TLS. */
  readonly tls: TlsMaterial | undefined
  readonly config: GatewayConfig
  readonly handle: Pipeline
  readonly world: World
  readonly log: Logger
}

/** The socket that clients connect to. */
export interface Listener {
  /** @throws {GatewayError} `ERR_PORT_TAKEN` */
  start(): Promise<{ readonly port: number; readonly socket: ListeningSocket | undefined }>
  /**
   * Takes no new connections. For `lingerMs` those that are there are served on, and each is asked to close with its next answer: a connection
   * that is closed while a request is on its way to it fails that request. Then idle ones are closed, and what is left after `drainMs` is cut.
   */
  stop(times: { readonly lingerMs: number; readonly drainMs: number }): Promise<void>
  readonly isDraining: boolean
  /** Takes other certificates for the connections to come; nothing happens where no TLS is spoken. */
  setTls(material: TlsMaterial): void
}

/** Creates a {@link Listener} on `node:http` with its parser in strict mode. */
export function listener(options: ListenerOptions): Listener {
  const { place, world, log } = options
  const state: ListenerState = { isDraining: false, busy: new WeakMap(), tunnels: new Set() }
  const server = newServer(options, state)
  const front = frontOf(server, options)

  return {
    get isDraining() {
      return state.isDraining
    },
    setTls(material) {
      if (server instanceof TlsServer) server.setSecureContext(contextOptions(material))
    },
    async start() {
      await listen(server, place)
      // One connection that the system could not give, as for lack of memory: the next ones may come.
      server.on('error', (error) => log.warn({ err: error }, `a connection could not be accepted: ${error.message}`))
      // An AddressInfo, as it listens on a port.
      return { port: (server.address() as AddressInfo).port, socket: socketOf(server) }
    },
    async stop({ lingerMs, drainMs }) {
      state.isDraining = true
      const cut = new AbortController()
      // An http server's own would close idle connections at once.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
      front?.warn()
      const orAfter = (ms: number) => Promise.race([closed, sleep(world, ms, cut.signal).catch(() => undefined)])
      if (lingerMs > 0) await orAfter(lingerMs)
      front?.drain()
      // Idle connections, and the timer that looks for slow ones; it says that it does not listen, which is known.
      server.close(() => undefined)
      await orAfter(Math.max(0, drainMs - lingerMs))
      cut.abort()
      for (const tunnel of state.tunnels) tunnel.destroy()
      front?.destroy()
      server.closeAllConnections()
      await closed
    },
  }
}

interface ListenerState {
  isDraining: boolean
  /** The requests that each connection waits for. */
  readonly busy: WeakMap<Duplex, UnderWay[]>
  readonly tunnels: Set<Duplex>
}

interface UnderWay {
  readonly message: IncomingMessage
  readonly response: ServerResponse
}

/**
 * Whether a parse error can be answered: when no request is under way, whose answer it would be taken for, or when it is in the
 * body of the only one.
 */
function mayRefuse(waiting: readonly UnderWay[] = []): boolean {
  return waiting.every(({ message, response }) => waiting.length === 1 && !message.complete && !response.headersSent)
}

function newServer(options: ListenerOptions, state: ListenerState): Server {
  const { config, log, tls } = options
  const settings = {
    insecureHTTPParser: false,
    // Checked by screen(), which answers with a problem.
    requireHostHeader: false,
    maxHeaderSize: config.max_header_bytes ?? 16_384,
    headersTimeout: config.headers_timeout_ms ?? 10_000,
    requestTimeout: config.request_timeout_ms ?? 300_000,
    keepAliveTimeout: config.keep_alive_ms ?? 60_000,
    connectionsCheckingInterval: 1_000,
    shouldUpgradeCallback: isWebSocket,
  }
  const server = tls ? createTlsServer({ ...settings, ...serverTls(tls, settings.headersTimeout) }) : createServer(settings)
  // By default Node silently drops headers beyond 2,000; their bytes are limited above.
  server.maxHeadersCount = 0
  server.on('request', (message, response) => serve(message, response, false, options, state))
  server.on('checkContinue', (message, response) => serve(message, response, true, options, state))
  server.on('checkExpectation', (_, response) => {
    const { status, headers, body } = refuseUnread(OTHER_EXPECTATION, log)
    response.writeHead(status, [...headers, 'connection', 'close']).end(body)
  })
  server.on('upgrade', (message, socket, head) => {
    // Node before 24.9 knows no shouldUpgradeCallback and brings every protocol here; h2c would get past the route.
    if (!isWebSocket(message)) {
      writeRaw(socket, refuseUnread(OTHER_PROTOCOL, log))
      return
    }
    upgrade(message, socket, head, options, state).catch((error) => {
      log.error({ err: error }, 'the gateway failed on a WebSocket')
      socket.destroy()
    })
  })
  server.on('connect', (_, socket) => writeRaw(socket, refuseUnread(NO_CONNECT, log)))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (socket.writable && error.code !== 'ECONNRESET' && mayRefuse(state.busy.get(socket)))
      writeRaw(socket, refuseUnread(unreadBy(error), log))
    else socket.destroy()
  })
  return server
}

const OTHER_EXPECTATION: Unread = { status: 417, code: 'ERR_REQUEST_INVALID', detail: 'the only expectation met is 100-continue' }
const OTHER_PROTOCOL: Unread = { status: 400, code: 'ERR_UPGRADE_REFUSED', detail: 'the only protocol to switch to is websocket' }
const NO_CONNECT: Unread = { status: 405, code: 'ERR_METHOD_NOT_ALLOWED', detail: 'CONNECT is not allowed' }

/** Serves HTTP/2 on the same port, where that is asked for. */
function frontOf(server: Server, { config, tls, handle, world, log }: ListenerOptions): Http2Front | undefined {
  const isAsked = tls ? tls.http2 : config.h2c
  if (!isAsked) return undefined
  const firstBytesMs = config.headers_timeout_ms ?? 10_000
  const front = http2Front({
    maxHeaderBytes: config.max_header_bytes ?? 16_384,
    keepAliveMs: config.keep_alive_ms ?? 60_000,
    requestTimeoutMs: config.request_timeout_ms ?? 300_000,
    handle,
    world,
    log,
  })
  if (server instanceof TlsServer) {
    splitByAlpn(server, front)
    return front
  }
  const closeUndecided = splitByPreface(server, front, { firstBytesMs, world })
  return {
    ...front,
    drain() {
      closeUndecided()
      front.drain()
    },
  }
}

function serverTls(material: TlsMaterial, handshakeTimeout: number) {
  const { clients } = material
  return {
    ...contextOptions(material),
    ALPNProtocols: material.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
    handshakeTimeout,
    requestCert: clients !== 'none',
    rejectUnauthorized: clients === 'required',
  }
}

/** Of one connection, as many as streams of HTTP/2. No more is read of it meanwhile, but what has come with the last is taken. */
const mostWaiting = 100

function serve(
  message: IncomingMessage,
  response: ServerResponse,
  isHolding: boolean,
  options: ListenerOptions,
  state: ListenerState,
): void {
  const { busy } = state
  const { socket } = message
  // Mostly one. A Set that many pass through keeps its worn-out tables, and with them what was in them, until a full collection.
  const waiting = busy.get(socket) ?? []
  if (!busy.has(socket)) {
    busy.set(socket, waiting)
    // Who reads a body has the connection read on, too.
    socket.on('resume', () => holdBack(socket, waiting))
  }
  const own = { message, response }
  const client = new Cancellation(options.world)
  waiting.push(own)
  // Not at once: at the end of this request the parser reads on.
  if (waiting.length >= mostWaiting) queueMicrotask(() => holdBack(socket, waiting))
  // It closes once: `once` would wrap this for nothing.
  response.on('close', () => {
    waiting.splice(waiting.indexOf(own), 1)
    if (waiting.length === mostWaiting - 1) socket.resume()
    // Before the answer is out: nobody wants it any more.
    if (!response.writableFinished) client.abort(clientGone())
  })
  exchange(own, client, isHolding, options, state).catch((error) => {
    options.log.error({ err: error }, 'the gateway failed on a request')
    response.destroy()
  })
}

function holdBack(socket: Duplex, waiting: readonly UnderWay[]): void {
  if (waiting.length >= mostWaiting) socket.pause()
}

async function exchange(
  { message, response }: UnderWay,
  cancellation: Cancellation,
  isHolding: boolean,
  options: ListenerOptions,
  state: ListenerState,
): Promise<void> {
  let holding = isHolding
  const onBodyWanted = () => {
    if (holding) response.writeContinue()
    holding = false
  }
  const client = { cancellation, isUpgrade: false, onBodyWanted, onEarlyHints: earlyHints(message, response) }
  const { response: answer, body, idleTimeoutMs, finish } = await options.handle(message, client)
  const sending = sendResponse(answer, {
    message,
    response,
    body,
    isHoldingBody: () => holding,
    isDraining: () => state.isDraining,
    idleTimeoutMs,
    world: options.world,
  })
  // Most are out at once: nothing to wait for.
  const result = typeof sending === 'string' ? sending : await sending
  finish(result === 'gone' ? 499 : answer.status, result)
}

/** Hands early hints on; HTTP/1.0 knows no interim answers. */
function earlyHints({ httpVersion }: IncomingMessage, response: ServerResponse): ((headers: HeaderList) => void) | undefined {
  if (httpVersion !== '1.1') return undefined
  return (headers) => {
    const link = linksOf(headers)
    // What comes too late is dropped.
    if (!response.headersSent && link.length > 0) response.writeEarlyHints({ link: [...link] })
  }
}

function clientGone(): GatewayError {
  return new GatewayError('ERR_CLIENT_GONE', 'the client has gone', { status: 499 })
}

async function upgrade(
  message: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  { handle, world }: ListenerOptions,
  state: ListenerState,
): Promise<void> {
  socket.on('error', () => socket.destroy())
  const cancellation = new Cancellation(world)
  const onClose = () => cancellation.abort(clientGone())
  socket.once('close', onClose)
  const {
    response: answer,
    idleTimeoutMs,
    finish,
  } = await handle(message, { cancellation, isUpgrade: true, onBodyWanted: () => undefined })
  if (!answer.tunnel) {
    const result = await refuseUpgrade({ message, idleTimeoutMs, world }, socket, answer)
    socket.off('close', onClose)
    return finish(result === 'gone' ? 499 : answer.status, result)
  }
  socket.off('close', onClose)
  if (head.length > 0) socket.unshift(head)
  state.tunnels.add(socket)
  await connectTunnel(socket, answer, answer.tunnel)
  state.tunnels.delete(socket)
  finish(answer.status, 'sent')
}

async function refuseUpgrade(
  client: Pick<ClientSide, 'message' | 'idleTimeoutMs' | 'world'>,
  socket: Duplex,
  answer: GatewayResponse,
): Promise<SendResult> {
  const { message } = client
  const response = new ServerResponse(message)
  // As Node does for its own.
  socket.on('timeout', () => response.emit('timeout'))
  // Of an http server the socket of an upgrade is a net.Socket.
  response.assignSocket(message.socket)
  response.once('finish', () => socket.end())
  return sendResponse(answer, { ...client, response, body: noBody, isHoldingBody: () => false, isDraining: () => true })
}

function isWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'
}
