import { type Duplex, Readable } from 'node:stream'
import { codeOf, messageOf } from '@banyan/core'
import { Agent, type Dispatcher } from 'undici'
import { GatewayError, type GatewayErrorCode } from './errors.ts'
import { type HeaderList, headerValues } from './headers.ts'

/** One request to one endpoint. */
export interface UpstreamRequest {
  /** `http://127.0.0.1:3001`. */
  readonly origin: string
  readonly method: string
  /** With its query. */
  readonly path: string
  /** As sent, but for `Connection` and framing, which are the client's own. With a `host`, that one is sent. */
  readonly headers: HeaderList
  readonly body: Uint8Array | Readable | undefined
  /** Ends the request until its answer's head has come; then destroy the body. */
  readonly signal: AbortSignal
  /** The longest pause within the answer's body, milliseconds. */
  readonly idleTimeoutMs: number
  /** A WebSocket handshake. */
  readonly isUpgrade: boolean
}

/** The head of an answer and its body, which must be read to its end or destroyed. */
export interface UpstreamAnswer {
  readonly status: number
  /** As they came, hop-by-hop ones too. */
  readonly headers: HeaderList
  /** Fails when the answer is cut short. */
  readonly body: Readable
  /** The connection behind a 101. */
  readonly tunnel?: Duplex
}

/** Sends requests to endpoints. */
export interface UpstreamClient {
  /**
   * @throws {GatewayError} `ERR_UPSTREAM_UNREACHABLE` when no byte was sent, `ERR_UPSTREAM_FAILED` when the connection broke,
   *   `ERR_UPSTREAM_INVALID` for an answer that is not clean HTTP/1.1; the body's own error when it failed; the signal's reason
   */
  send(request: UpstreamRequest): Promise<UpstreamAnswer>
  /** Cuts all connections. */
  close(): Promise<void>
}

/**
 * Creates an {@link UpstreamClient} over undici: keep-alive pools, one request a connection at a time. Certificates of upstreams are
 * verified.
 */
export function upstreamClient(): UpstreamClient {
  const agent = new Agent({
    // Below the 5 s after which Node's servers close, so that a request never meets a closing connection.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 60_000,
    connections: 256,
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0,
    connect: { timeout: 2_000 },
  })
  return {
    send: (request) => new Promise((resolve, reject) => dispatch(agent, request, resolve, reject)),
    close: () => agent.destroy(),
  }
}

function dispatch(
  agent: Agent,
  request: UpstreamRequest,
  resolve: (answer: UpstreamAnswer) => void,
  reject: (error: unknown) => void,
): void {
  const { signal, body, origin } = request
  let controller: Dispatcher.DispatchController | undefined
  let answer: Readable | undefined

  const onAbort = () => {
    leave()
    // Without a controller the request is still queued: it ends when its turn comes.
    controller?.abort(asError(signal.reason))
    reject(signal.reason)
  }
  const leave = () => signal.removeEventListener('abort', onAbort)
  if (signal.aborted) {
    reject(signal.reason)
    return
  }
  signal.addEventListener('abort', onAbort, { once: true })

  agent.dispatch(toOptions(request), {
    onRequestStart(started) {
      controller = started
      if (signal.aborted) started.abort(asError(signal.reason))
    },
    onRequestUpgrade(started, status, _, tunnel) {
      leave()
      resolve({ status, headers: rawHeaders(started.rawHeaders), body: Readable.from([]), tunnel })
    },
    onResponseStart(started, status) {
      if (status < 200) return
      const headers = rawHeaders(started.rawHeaders)
      const unclean = uncleanFraming(headers)
      if (unclean !== undefined) throw invalid(origin, unclean)
      leave()
      answer = bodyStream(started)
      resolve({ status, headers, body: answer })
    },
    onResponseData(started, chunk) {
      if (answer?.push(chunk) === false) started.pause()
    },
    onResponseEnd: () => void answer?.push(null),
    onResponseError(_, error) {
      leave()
      if (answer) answer.destroy(error)
      else reject(failureOf(error, origin, controller !== undefined))
      if (body instanceof Readable) body.destroy()
    },
  })
}

function toOptions({ origin, method, path, headers, body, idleTimeoutMs, isUpgrade }: UpstreamRequest): Dispatcher.DispatchOptions {
  // undici wants a mutable list; it only reads it.
  return {
    origin,
    method,
    path,
    headers: headers as string[],
    body: body ?? null,
    bodyTimeout: idleTimeoutMs,
    headersTimeout: 0,
    upgrade: isUpgrade ? 'websocket' : null,
  }
}

/** Resumes the connection when read from; ends the request when destroyed early. */
function bodyStream(controller: Dispatcher.DispatchController): Readable {
  const stream = new Readable({
    read: () => controller.resume(),
    destroy(error, done) {
      if (!stream.readableEnded && !controller.aborted) controller.abort(error ?? new Error('the answer is not wanted any more'))
      done(error)
    },
  })
  // Whoever reads it hears of a failure by its own listener; when nobody does, a failure must not end the process.
  stream.on('error', () => undefined)
  return stream
}

function rawHeaders(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return []
  return raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')))
}

/** Framing that parsers read differently, so that one answer could be taken for two. */
function uncleanFraming(headers: HeaderList): string | undefined {
  const encodings = headerValues(headers, 'transfer-encoding')
  const lengths = headerValues(headers, 'content-length')
  if (encodings.length > 1 || (encodings[0] !== undefined && encodings[0].toLowerCase() !== 'chunked')) {
    return `its Transfer-Encoding is ${JSON.stringify(encodings.join(', '))}, wanted "chunked"`
  }
  if (encodings.length > 0 && lengths.length > 0) return 'it has both Transfer-Encoding and Content-Length'
  if (lengths.length > 1 || (lengths[0] !== undefined && !/^\d+$/.test(lengths[0])))
    return `its Content-Length is ${JSON.stringify(lengths.join(', '))}`
  return undefined
}

function failureOf(error: Error, origin: string, isSent: boolean): unknown {
  if (error instanceof GatewayError) return error
  if (error.name === 'HTTPParserError' || error.name === 'HeadersOverflowError') return invalid(origin, messageOf(error), error)
  if (codeOf(error) === 'UND_ERR_INVALID_ARG' || codeOf(error) === 'UND_ERR_NOT_SUPPORTED') {
    // The client's fault: blaming the upstream would let anybody open its breaker.
    return new GatewayError('ERR_REQUEST_INVALID', 'the request has a header or a target that cannot be forwarded', {
      status: 400,
      cause: error,
    })
  }
  const [code, what]: [GatewayErrorCode, string] = isSent
    ? ['ERR_UPSTREAM_FAILED', 'broke the connection before it answered']
    : ['ERR_UPSTREAM_UNREACHABLE', 'cannot be reached']
  return new GatewayError(code, `${origin} ${what}: ${messageOf(error)}`, { cause: error })
}

function invalid(origin: string, why: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_UPSTREAM_INVALID', `the answer of ${origin} is not clean HTTP: ${why}`, { cause })
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
