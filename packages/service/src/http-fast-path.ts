import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { World } from '@banyan/core'
import { ServiceError } from './errors.ts'
import type { HttpApp, HttpContext } from './http-server.ts'
import { strayProblem } from './stray.ts'
import type { TransportRequest, TransportResponse, UniversalHandler } from './transport.ts'

export interface FastPathOptions {
  readonly service: string
  readonly app: HttpApp
  /** What contract routes are bound to in the app. */
  readonly answer: (context: HttpContext) => Promise<Response>
  readonly handle: UniversalHandler
  readonly maxBodyBytes: number
  readonly world: World
}

/**
 * Answers a request of a contract right on Node's request and response; `false` where it does not, and the app has to. It does
 * when the app's own router leads to the contract and to nothing else: a route or a middleware beside it is never passed over.
 *
 * @see decisions/020-fast-path.md
 */
export function fastPath(options: FastPathOptions): (incoming: IncomingMessage, outgoing: ServerResponse) => boolean {
  const { app, answer, maxBodyBytes } = options

  function leadsToContract(method: string, path: string): boolean {
    const [handlers] = app.router.match(method, path)
    return handlers.length === 1 && handlers[0]?.[0][0] === answer
  }

  return (incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming
    if (method === 'HEAD' || !isPlainTarget(url) || !isPlainHost(headers.host)) return false
    if (headers['transfer-encoding'] !== undefined) return false
    const length = Number(headers['content-length'] ?? 0)
    if (length > maxBodyBytes || (length > 0 && method === 'GET')) return false
    const end = url.indexOf('?')
    if (!leadsToContract(method, end < 0 ? url : url.slice(0, end))) return false
    if (length === 0) void respond(options, incoming, outgoing, undefined)
    else collect(incoming, (body) => void respond(options, incoming, outgoing, body))
    return true
  }
}

/** Anything that the app's router would decode, or that is no path, is the app's. */
function isPlainTarget(url: string): boolean {
  return url.charCodeAt(0) === 47 && !url.includes('%') && !url.includes('#')
}

/** A host that cannot stand in a URL is refused, as it is by the app. */
function isPlainHost(host: string | undefined): boolean {
  return host !== undefined && /^[\w.:[\]-]+$/.test(host)
}

/** All of a body whose length is known. A client that breaks off before its end hears nothing, as it is gone. */
function collect(incoming: IncomingMessage, done: (body: Buffer) => void): void {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => void chunks.push(chunk))
  incoming.on('end', () => done(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
  incoming.on('error', () => {})
}

async function respond(
  { service, handle, world }: FastPathOptions,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  bytes: Buffer | undefined,
): Promise<void> {
  if (bytes && !isUtf8(bytes)) {
    const error = new ServiceError('ERR_JSON_INVALID', 'the body is not UTF-8', { status: 400 })
    write(outgoing, strayProblem({ path: incoming.url ?? '', headers: plainHeaders(incoming.headers) }, error, world))
    return
  }
  write(outgoing, await handle(new NodeRequest(service, incoming, outgoing, bytes && textOf(bytes))))
}

/** A request as it is handled. A class, as one is made for each: see `Scope` in request-scope.ts. */
class NodeRequest implements TransportRequest {
  readonly service: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly #outgoing: ServerResponse
  #controller: AbortController | undefined

  constructor(service: string, incoming: IncomingMessage, outgoing: ServerResponse, body: string | undefined) {
    const { method = '', url = '', headers } = incoming
    this.service = service
    this.method = method
    this.path = url
    this.headers = plainHeaders(headers)
    this.body = body
    this.#outgoing = outgoing
  }

  /** Made when a handler first reads it. */
  get signal(): AbortSignal {
    this.#controller ??= abortedWith(this.#outgoing)
    return this.#controller.signal
  }
}

/** Node joins all repeated headers but `set-cookie`, which has no place in a request. */
function plainHeaders(headers: IncomingMessage['headers']): Record<string, string> {
  return headers as Record<string, string>
}

/** Without the mark that some editors put before everything. */
function textOf(bytes: Buffer): string {
  const text = bytes.toString()
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}

/** Aborted when the client goes before it has its answer. */
function abortedWith(outgoing: ServerResponse): AbortController {
  const controller = new AbortController()
  const gone = () => new DOMException('the client has gone', 'AbortError')
  if (outgoing.destroyed) controller.abort(gone())
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) controller.abort(gone())
  })
  return controller
}

function write(outgoing: ServerResponse, { status, headers, body }: TransportResponse): void {
  if (status === 204 || status === 304) outgoing.writeHead(status, headers).end()
  else outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
}
