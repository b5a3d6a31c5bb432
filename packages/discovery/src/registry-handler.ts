import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type Logger, messageOf } from '@banyan/core'
import { DiscoveryError } from './errors.ts'
import { badRequest } from './fields.ts'
import { type Access, forbidden, fullAccess } from './registry-access.ts'
import type { RegistryAnswer, Route } from './registry-route.ts'

/** What the handler answers with, and who may ask. */
export interface HandlerOptions {
  routes: readonly Route[]
  /** What the sender of a token may do, `undefined` for one that is none; `''` stands for no token. */
  accessOf: (token: string) => Access | undefined
  /** The largest body taken, bytes. */
  maxBodyBytes: number
  log: Logger
}

/** A connection may have so many requests that are not answered yet. More than one has only who sends on without waiting for answers. */
const mostUnanswered = 100

/** Handles one request; resolves when it is answered. Never rejects: errors become problems (RFC 9457). */
export function registryHandler(options: HandlerOptions): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { accessOf, maxBodyBytes, log } = options
  const find = routeFinder(options.routes)
  const unanswered = new WeakMap<Socket, number>()
  return async (request, response) => {
    const gone = new AbortController()
    const { socket } = request
    const count = (unanswered.get(socket) ?? 0) + 1
    unanswered.set(socket, count)
    response.once('close', () => {
      unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1)
      // Only when it went before its answer: an abort costs more than the answer of a heartbeat.
      if (!response.writableFinished) gone.abort()
    })
    // A query that waits takes a hundred times the memory of its text, and says nothing that would slow its sender down.
    if (count > mostUnanswered) return void socket.destroy()
    try {
      const url = urlOf(request)
      // Before looking for the route: who may not ask is not told what is there.
      const access = url.pathname === '/health/live' ? fullAccess : authorize(request, url, accessOf)
      const { route, name } = find(request.method, url.pathname)
      const body = () => readJson(request, maxBodyBytes)
      answer(response, await route.answer({ name, query: url.searchParams, body, access, gone: gone.signal }))
    } catch (error) {
      if (gone.signal.aborted) return
      // Without what stands behind the "?": it may be a token.
      const path = request.url?.split('?')[0]
      if (!(error instanceof DiscoveryError)) log.error({ path, error: messageOf(error) }, 'the registry failed to answer')
      problem(response, error)
    }
  }
}

function urlOf(request: IncomingMessage): URL {
  const target = request.url ?? '/'
  if (!URL.canParse(target, 'http://registry')) throw badRequest(`the address "${target.slice(0, 200)}" is not one`)
  return new URL(target, 'http://registry')
}

/** Parts of Consul that are not here; their clients are told so in place of a bare 404. */
const elsewhere = /^\/v1\/(kv|session|acl|query|event|connect|config|txn|coordinate|snapshot|operator|peering|exported-services)(\/|$)/

/** Finds the route of a path: itself, or up to its last `/` with a name behind it. */
function routeFinder(routes: readonly Route[]) {
  const byPath = Map.groupBy(routes, ({ path }) => path)
  return (method: string | undefined, pathname: string): { route: Route; name: string } => {
    const slash = pathname.lastIndexOf('/') + 1
    const there = byPath.get(pathname.slice(0, slash))
    const name = pathname.slice(slash)
    const exact = byPath.get(pathname)
    const found = exact ?? (name === '' ? undefined : there)
    const part = elsewhere.exec(pathname)?.[1]
    if (!found && part) throw status(501, `"/v1/${part}" is a part of Consul that this registry does not have`)
    if (!found) throw status(404, `there is nothing at "${pathname}"`)
    const route = found.find((one) => one.method === method)
    if (!route) throw status(405, `"${pathname}" takes ${found.map((one) => one.method).join(', ')}, not ${method}`)
    return { route, name: exact ? '' : decode(name) }
  }
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new DiscoveryError('ERR_BAD_REQUEST', `"${segment}" in the path is not percent-encoded UTF-8`, { cause, status: 400 })
  }
}

function authorize(request: IncomingMessage, url: URL, accessOf: HandlerOptions['accessOf']): Access {
  const header = request.headers['x-consul-token']
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  const token = (Array.isArray(header) ? header[0] : header) || bearer || url.searchParams.get('token') || ''
  const access = accessOf(token)
  if (access) return access
  throw forbidden(token === '' ? 'a token is needed; send it as "X-Consul-Token"' : 'the token is not one of this registry')
}

async function readJson(request: IncomingMessage, maxBodyBytes: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > maxBodyBytes) throw status(413, `the body is larger than ${maxBodyBytes} bytes`)
    chunks.push(bytes)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (cause) {
    throw new DiscoveryError('ERR_BAD_REQUEST', `the body is not JSON: ${messageOf(cause)}`, { cause, status: 400 })
  }
}

function status(code: number, detail: string): DiscoveryError {
  const name = code === 404 ? 'ERR_NOT_FOUND' : code === 501 ? 'ERR_NOT_SUPPORTED' : 'ERR_BAD_REQUEST'
  return new DiscoveryError(name, detail, { status: code })
}

function answer(response: ServerResponse, { json, index, code = 200 }: RegistryAnswer): void {
  response.statusCode = code
  response.setHeader('content-type', 'application/json')
  if (index !== undefined) {
    response.setHeader('x-consul-index', index)
    response.setHeader('x-consul-knownleader', 'true')
    response.setHeader('x-consul-lastcontact', 0)
  }
  response.setHeader('content-length', typeof json === 'string' ? Buffer.byteLength(json) : json.length)
  response.end(json)
}

function problem(response: ServerResponse, error: unknown): void {
  const code = error instanceof DiscoveryError ? (error.status ?? 500) : 500
  const detail = error instanceof DiscoveryError ? error.message : 'the registry failed to answer; its log says why'
  const type = error instanceof DiscoveryError ? error.code : 'ERR_INTERNAL'
  // The rest of a body that was not read would be taken for the next request.
  if (!response.req.complete) response.setHeader('connection', 'close')
  response.statusCode = code
  response.setHeader('content-type', 'application/problem+json')
  response.end(JSON.stringify({ type: 'about:blank', title: STATUS_CODES[code], status: code, detail, code: type }))
}
