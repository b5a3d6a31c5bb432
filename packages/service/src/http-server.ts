import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { codeOf, type Logger, messageOf, sleep, type World } from '@banyan/core'
import { getRequestListener, type HttpBindings, RequestError } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { ServiceError } from './errors.ts'
import { fastPath } from './http-fast-path.ts'
import { problemResponse } from './problem.ts'
import { problemOf } from './problem-of.ts'
import { readBody } from './read-body.ts'
import { strayProblem } from './stray.ts'
import { newTraceId } from './telemetry.ts'
import type { TransportResponse, UniversalHandler } from './transport.ts'

/** The app that a service's routes are added to. */
export type HttpApp = Hono<{ Bindings: HttpBindings }>

export interface HttpServerOptions {
  /** For messages. */
  service: string
  host: string
  /** 0: any free one. */
  port: number
  maxBodyBytes: number
  /** Answers whatever no route of the app's own takes. */
  handle: UniversalHandler
  world: World
  log: Logger
}

export interface HttpServer {
  readonly app: HttpApp
  /** Answers a request by the universal handler: what contract routes are bound to. */
  readonly answer: (context: HttpContext) => Promise<Response>
  /**
   * @throws {ServiceError} `ERR_PORT_TAKEN`, `ERR_LISTEN_FAILED`
   */
  listen(): Promise<{ port: number }>
  /** From now on every answer says that it is the last on its connection, so that callers part from it by themselves. */
  leave(): void
  /** Takes no more connections, lets requests in flight finish for `finishMs`, then cuts what is left. */
  close(finishMs: number): Promise<void>
}

export type HttpContext = Context<{ Bindings: HttpBindings }>

/** How often idle connections are closed while stopping, milliseconds. */
const SWEEP_MS = 25

/** Creates the HTTP side of a service: Hono on Node's server. Nothing listens before `listen`. */
export function httpServer(options: HttpServerOptions): HttpServer {
  const { service, world, log } = options
  const answer = (context: HttpContext) => answerBy(options, context)
  const app: HttpApp = new Hono()
  app.notFound(answer)
  app.onError((error, context) => {
    // How Hono's own middleware answers: whom it does not know, what is too large.
    if (error instanceof HTTPException) return error.getResponse()
    log.error({ error, path: context.req.path }, `a route of "${service}" failed: ${messageOf(error)}`)
    return toResponse(strayProblem({ path: context.req.path, headers: context.req.header() }, error, world))
  })
  const open = new Set<ServerResponse>()
  let closing = false
  const listener = getRequestListener(app.fetch, {
    errorHandler: (error) => {
      if (error instanceof RequestError) return toResponse(badRequest('the request line or a header is malformed'))
      // Hono gives its own handler of errors nothing but errors.
      const traceId = newTraceId(world)
      log.error({ error, traceId }, `a route of "${service}" failed: ${messageOf(error)}`)
      return toResponse(problemResponse({ ...problemOf(error), traceId }))
    },
  })
  const fast = fastPath({ ...options, app, answer })
  const server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    open.add(outgoing)
    outgoing.once('close', () => open.delete(outgoing))
    if (closing) outgoing.setHeader('connection', 'close')
    // Node has asked for one where the version does; the web's requests cannot do without.
    if (incoming.headers.host === undefined) incoming.headers.host = 'localhost'
    if (!fast(incoming, outgoing)) void listener(incoming, outgoing)
  })
  bound(server)
  server.on('clientError', refuseClient)

  function leave(): void {
    closing = true
    for (const outgoing of open) if (!outgoing.headersSent) outgoing.setHeader('connection', 'close')
  }

  return {
    app,
    answer,
    listen: () => listen(server, options),
    leave,
    async close(finishMs) {
      if (!server.listening) return
      leave()
      const closed = new Promise<true>((resolve) => server.close(() => resolve(true)))
      const until = world.monotonic() + finishMs
      while (!(await Promise.race([closed, sleep(world, SWEEP_MS)]))) {
        // To Node, who has begun a head and not ended it is not idle. Nobody waits for it.
        if (open.size === 0) server.closeAllConnections()
        else server.closeIdleConnections()
        if (world.monotonic() < until) continue
        log.warn({ requests: open.size }, `cutting ${open.size} requests of "${service}" that did not finish within ${finishMs} ms`)
        server.closeAllConnections()
      }
    },
  }
}

/** Nobody may hold a connection by sending slowly. */
function bound(server: Server): void {
  server.headersTimeout = 10_000
  server.requestTimeout = 30_000
  server.keepAliveTimeout = 65_000
}

function listen(server: Server, { service, host, port, log }: HttpServerOptions): Promise<{ port: number }> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => reject(listenError(service, host, port, cause))
    server.once('error', onError)
    server.listen({ host, port }, () => {
      server.off('error', onError)
      // One connection that the system could not give, as for lack of memory: the next ones may come.
      server.on('error', (error) => log.warn({ error }, `a connection to "${service}" could not be accepted: ${error.message}`))
      // A server that listens on a port has an address of this kind.
      resolve({ port: (server.address() as AddressInfo).port })
    })
  })
}

function listenError(service: string, host: string, port: number, cause: Error): ServiceError {
  if (codeOf(cause) === 'EADDRINUSE') {
    return new ServiceError(
      'ERR_PORT_TAKEN',
      `cannot start service "${service}": port ${port} on ${host} is taken; stop what listens there or choose another port`,
      { cause },
    )
  }
  return new ServiceError('ERR_LISTEN_FAILED', `cannot start service "${service}": cannot listen on ${host}:${port}: ${cause.message}`, {
    cause,
  })
}

async function answerBy({ handle, maxBodyBytes, service, world }: HttpServerOptions, { req, env }: HttpContext): Promise<Response> {
  const path = targetOf(req.url)
  // Without Node's request (in tests that call the app itself) there are only the web's headers.
  const headers = env?.incoming ? plainHeaders(env.incoming) : req.header()
  try {
    return toResponse(
      await handle({
        service,
        method: req.method === 'HEAD' ? 'GET' : req.method,
        path,
        headers,
        body: await readBody(req, maxBodyBytes),
        get signal() {
          return req.raw.signal
        },
      }),
    )
  } catch (error) {
    return toResponse(strayProblem({ path, headers }, error, world))
  }
}

function toResponse({ status, headers, body }: TransportResponse): Response {
  return new Response(body === '' ? null : body, { status, headers })
}

/** Node joins all repeated headers but `set-cookie`, which has no place in a request. */
function plainHeaders(incoming: IncomingMessage): Record<string, string> {
  return incoming.headers as Record<string, string>
}

/** Path and query of a URL, as they were sent. */
function targetOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  return start < 0 ? '/' : url.slice(start)
}

function badRequest(detail: string, status = 400): TransportResponse {
  return problemResponse({ status, code: 'ERR_HTTP_MALFORMED', detail })
}

/** What Node's parser does not take never becomes a request; the client still hears what was wrong. */
function refuseClient(error: Error, socket: Socket): void {
  if (!socket.writable || codeOf(error) === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const status = codeOf(error) === 'HPE_HEADER_OVERFLOW' ? 431 : codeOf(error) === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
  const { headers, body } = badRequest('this is not an HTTP request that can be read', status)
  const lines = Object.entries({ ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' })
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`)
}
