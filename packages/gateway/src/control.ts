import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { codeOf, type Logger, messageOf } from '@banyan/core'
import { adminOpenApi } from './admin-openapi.ts'
import { type AdminAnswer, type AdminRoute, type AdminSubject, adminRoutes } from './admin-routes.ts'
import { GatewayConfigError, GatewayError } from './errors.ts'
import type { GatewayResponse } from './exchange.ts'
import { problem, problemOf } from './problem.ts'

export interface ControlOptions {
  /** Default 127.0.0.1: it tells about the inside. */
  readonly host: string | undefined
  readonly port: number
  /** The token in force of who may see and change the configuration. Gives none: nobody may, and only health and metrics are answered. */
  readonly token: () => string | undefined
  readonly subject: AdminSubject
  readonly log: Logger
}

/** The port beside the traffic: health, metrics, and what changes the configuration. */
export interface Control {
  /** @throws {GatewayError} `ERR_PORT_TAKEN` */
  start(): Promise<{ readonly port: number }>
  stop(): Promise<void>
}

/** A gateway file larger than this is a mistake, bytes. */
const MAX_BODY_BYTES = 4_194_304

/** Creates a {@link Control}. */
export function control(options: ControlOptions): Control {
  const { host = '127.0.0.1', port, log } = options
  const server: Server = createServer((request, response) => {
    answer(request, options)
      .catch((error): AdminAnswer => {
        const { status, body } = adminProblem(error)
        if (status === 500) log.error({ err: error, path: request.url?.split('?')[0] }, 'the admin port failed to answer')
        return { status, body: String(body), type: 'application/problem+json' }
      })
      .then(({ status, body, type = 'application/json', allow }) => {
        // The rest of a body that was not read would be taken for the next request.
        if (!request.complete) response.setHeader('connection', 'close')
        response
          .writeHead(status, { 'content-type': type, ...(allow !== undefined && { allow }) })
          .end(typeof body === 'string' ? body : JSON.stringify(body))
      })
  })
  return {
    start: () =>
      new Promise((resolve, reject) => {
        const onError = (cause: unknown) => {
          const reason =
            codeOf(cause) === 'EADDRINUSE' ? 'another program has it; stop that one or choose another "admin" port' : messageOf(cause)
          reject(new GatewayError('ERR_PORT_TAKEN', `cannot listen on ${host}:${port}: ${reason}`, { cause }))
        }
        server.once('error', onError)
        server.listen(port, host, () => {
          server.off('error', onError)
          // As for clients.
          server.on('error', (error) => log.warn({ err: error }, `a connection to the admin port could not be accepted: ${error.message}`))
          // An AddressInfo, as it listens on a port.
          resolve({ port: (server.address() as AddressInfo).port })
        })
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Whoever may change a gateway is told what is wrong with it. */
function adminProblem(error: unknown): GatewayResponse {
  if (error instanceof GatewayConfigError)
    return problem({ status: 422, code: error.code, detail: error.message, more: { issues: error.issues } })
  if (!(error instanceof GatewayError) || error.status !== undefined) return problemOf(error)
  return problem({ status: 500, code: error.code, detail: error.message })
}

async function answer(request: IncomingMessage, { token, subject }: ControlOptions): Promise<AdminAnswer> {
  const target = request.url ?? '/'
  if (!URL.canParse(target, 'http://admin')) throw refused(400, 'the address is not one')
  const { pathname, searchParams: query } = new URL(target, 'http://admin')
  const route = find(request.method ?? '', pathname)
  if (route === 'openapi') return { status: 200, body: adminOpenApi() }
  if (!route.isOpen) authorize(request, token())
  return route.answer(subject, { query, body: () => readBody(request) })
}

function find(method: string, path: string): Pick<AdminRoute, 'isOpen' | 'answer'> | 'openapi' {
  const wanted = method === 'HEAD' ? 'GET' : method
  if (path === '/openapi.json' && wanted === 'GET') return 'openapi'
  const there = adminRoutes.filter((route) => route.path === path)
  const found = there.find((route) => route.method === wanted)
  if (found) return found
  const allow = there.map((route) => route.method).join(', ')
  if (there.length > 0) return { isOpen: true, answer: async () => wrongMethod(`${path} takes ${allow}, not ${method}`, allow) }
  throw refused(404, `there is nothing at ${path}; /openapi.json says what there is`)
}

function wrongMethod(detail: string, allow: string): AdminAnswer {
  const { status, body } = problem({ status: 405, code: 'ERR_ADMIN_REFUSED', detail })
  return { status, body: String(body), type: 'application/problem+json', allow }
}

function authorize(request: IncomingMessage, token: string | undefined): void {
  if (token === undefined) throw refused(403, 'this needs a token, and the gateway file names none in "admin_token"')
  // A page of some site could have its name lead here; a name of ours it is not.
  const host = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  if (host !== 'localhost' && isIP(host) === 0) throw refused(421, 'ask this port by its address')
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (given === undefined) throw refused(401, 'this needs a token: send "Authorization: Bearer <token>"')
  if (!isSame(given, token)) throw refused(403, 'the token is not the one of this gateway')
}

/** Takes the same time however much of it is right. */
function isSame(given: string, token: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(token)]
  return one.length === other.length && timingSafeEqual(one, other)
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    // Without an encoding a request gives Buffers.
    size += (chunk as Buffer).length
    if (size > MAX_BODY_BYTES) throw refused(413, `the body is larger than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function refused(status: number, detail: string): GatewayError {
  return new GatewayError('ERR_ADMIN_REFUSED', detail, { status })
}
