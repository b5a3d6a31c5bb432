import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Logger, messageOf } from '@banyan/core'
import { DiscoveryError } from './errors.ts'
import { badRequest } from './fields.ts'
import type { RegistryAnswer, Route } from './registry-routes.ts'

/** The largest body taken, bytes. A registration is well below a thousandth of it. */
const bodyLimit = 512 * 1024

/** What the handler answers with, and who may ask. */
export interface HandlerOptions {
  routes: readonly Route[]
  token: string | undefined
  log: Logger
}

/** Handles one request; resolves when it is answered. Never rejects: errors become problems (RFC 9457). */
export function registryHandler(options: HandlerOptions): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { routes, token, log } = options
  return async (request, response) => {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    try {
      const { url, route, name } = match(routes, request)
      if (token !== undefined && url.pathname !== '/health/live') authorize(request, url, token)
      const body = () => readJson(request)
      answer(response, await route.answer({ name, query: url.searchParams, body, gone: gone.signal }))
    } catch (error) {
      if (gone.signal.aborted) return
      if (!(error instanceof DiscoveryError)) log.error({ url: request.url, error: messageOf(error) }, 'the registry failed to answer')
      problem(response, error)
    }
  }
}

function match(routes: readonly Route[], request: IncomingMessage): { url: URL; route: Route; name: string } {
  const target = request.url ?? '/'
  if (!URL.canParse(target, 'http://registry')) throw badRequest(`the address "${target.slice(0, 200)}" is not one`)
  const url = new URL(target, 'http://registry')
  const there = routes.filter(({ path }) => (path.endsWith('/') ? isBelow(url.pathname, path) : url.pathname === path))
  if (there.length === 0) throw status(404, `there is nothing at "${url.pathname}"`)
  const route = there.find(({ method }) => method === request.method)
  if (!route) throw status(405, `"${url.pathname}" takes ${there.map(({ method }) => method).join(', ')}, not ${request.method}`)
  return { url, route, name: route.path.endsWith('/') ? decode(url.pathname.slice(route.path.length)) : '' }
}

function isBelow(pathname: string, path: string): boolean {
  return pathname.startsWith(path) && pathname.length > path.length && !pathname.includes('/', path.length)
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new DiscoveryError('ERR_BAD_REQUEST', `"${segment}" in the path is not percent-encoded UTF-8`, { cause, status: 400 })
  }
}

function authorize(request: IncomingMessage, url: URL, token: string): void {
  const header = request.headers['x-consul-token']
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  const given = (Array.isArray(header) ? header[0] : header) ?? bearer ?? url.searchParams.get('token') ?? ''
  if (timingSafeEqual(digest(given), digest(token))) return
  throw status(403, given === '' ? 'a token is needed; send it as "X-Consul-Token"' : 'the token is not the one of this registry')
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > bodyLimit) throw status(413, `the body is larger than ${bodyLimit} bytes`)
    chunks.push(bytes)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (cause) {
    throw new DiscoveryError('ERR_BAD_REQUEST', `the body is not JSON: ${messageOf(cause)}`, { cause, status: 400 })
  }
}

function status(code: number, detail: string): DiscoveryError {
  const name = code === 403 ? 'ERR_FORBIDDEN' : code === 404 ? 'ERR_NOT_FOUND' : 'ERR_BAD_REQUEST'
  return new DiscoveryError(name, detail, { status: code })
}

function answer(response: ServerResponse, { json, index }: RegistryAnswer): void {
  response.setHeader('content-type', 'application/json')
  if (index !== undefined) {
    response.setHeader('x-consul-index', index)
    response.setHeader('x-consul-knownleader', 'true')
    response.setHeader('x-consul-lastcontact', 0)
  }
  response.setHeader('content-length', Buffer.byteLength(json))
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
  response.end(JSON.stringify({ type: 'about:blank', title: response.statusMessage || titleOf(code), status: code, detail, code: type }))
}

function titleOf(code: number): string {
  return (
    { 400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 413: 'Content Too Large' }[code] ??
    'Internal Server Error'
  )
}
