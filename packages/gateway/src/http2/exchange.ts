import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2'
import { Readable } from 'node:stream'
import { messageOf, type World } from '@banyan/core'
import type { AbortListener } from '@banyan/resilience'
import { type AnswerBody, answerBody } from '../answer-body.ts'
import { GatewayError } from '../errors.ts'
import type { HeaderList } from '../headers.ts'
import { mostInterims, type UpstreamAnswer, type UpstreamRequest } from '../upstream-client.ts'
import { headersOf } from './fields.ts'
import { requestFields, unsendable } from './request-fields.ts'
import type { Session } from './session.ts'

/**
 * Sends a request on a connection that it has entered, and leaves that when all is over.
 *
 * @throws what {@link UpstreamClient.send} throws
 */
export function exchange(session: Session, request: UpstreamRequest, world: World): Promise<UpstreamAnswer> {
  return new Promise((resolve, reject) => {
    let stream: ClientHttp2Stream
    try {
      stream = begin(session, request)
    } catch (error) {
      session.leave()
      reject(error)
      return
    }
    new Exchange({ session, stream, request, world, resolve, reject }).run()
  })
}

function begin({ connection }: Session, request: UpstreamRequest): ClientHttp2Stream {
  const fields = requestFields(request)
  try {
    return connection.request(fields, { endStream: request.body === undefined })
  } catch (cause) {
    if (cause instanceof TypeError) throw unsendable(cause)
    // The fields are good, so it is the connection, which closed meanwhile: nothing was sent.
    throw new GatewayError('ERR_UPSTREAM_UNREACHABLE', `${request.origin} takes no more on this connection: ${messageOf(cause)}`, { cause })
  }
}

interface ExchangeOptions {
  readonly session: Session
  readonly stream: ClientHttp2Stream
  readonly request: UpstreamRequest
  readonly world: World
  readonly resolve: (answer: UpstreamAnswer) => void
  readonly reject: (error: unknown) => void
}

/** One request and its answer on a stream of their own. */
class Exchange implements AbortListener {
  readonly #options: ExchangeOptions
  #body: AnswerBody | undefined
  #trailers: HeaderList = []
  #interims = 0
  /** Its head was told, or why there is none. */
  #isSettled = false
  #error: Error | undefined
  /** It has gone out; until then it waits in the connection. */
  #isSent: boolean

  constructor(options: ExchangeOptions) {
    this.#options = options
    this.#isSent = !options.stream.pending
  }

  run(): void {
    const { stream, request } = this.#options
    stream
      .on('ready', () => {
        this.#isSent = true
      })
      .on('headers', (head, _, fields) => this.#onInterim(statusOf(head), headersOf(fields)))
      .on('response', (head, flags, fields) => this.#onHead(statusOf(head), flags, headersOf(fields)))
      .on('trailers', (_, __, fields) => {
        this.#trailers = headersOf(fields)
      })
      .on('data', (data: Buffer) => this.#body?.push(data) === false && stream.pause())
      .on('end', () => this.#onEnd())
      .on('error', (error) => {
        this.#error = error
      })
      .on('close', () => this.#onClose())
    request.cancellation.listen(this)
    this.#write(request.body)
  }

  /** The request is not wanted any more; perhaps as nothing comes. */
  onAbort(reason: unknown): void {
    this.#fail(reason)
    this.#options.session.probe()
  }

  #write(body: UpstreamRequest['body']): void {
    const { stream } = this.#options
    if (body instanceof Readable) {
      body.once('error', (error) => this.#fail(error))
      body.pipe(stream)
    } else if (body !== undefined) stream.end(body)
  }

  #onInterim(status: number, headers: HeaderList): void {
    const { request } = this.#options
    if (this.#isSettled) return
    this.#interims += 1
    if (this.#interims <= mostInterims) {
      request.onInterim?.(status, headers)
      return
    }
    const why = `it has more than ${mostInterims} interim answers`
    this.#fail(new GatewayError('ERR_UPSTREAM_INVALID', `the answer of ${request.origin} is not clean HTTP/2: ${why}`))
  }

  #onHead(status: number, flags: number, headers: HeaderList): void {
    if (this.#isSettled) return
    const { stream, request, world, resolve } = this.#options
    this.#settle()
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) {
      resolve({ status, headers, body: undefined })
      return
    }
    this.#body = answerBody({
      world,
      idleTimeoutMs: request.idleTimeoutMs,
      onWanted: () => void stream.resume(),
      onDropped: (reason) => cancel(stream, reason),
    })
    resolve({ status, headers, body: this.#body.stream, trailers: () => this.#trailers })
  }

  /** `node:http2` ends the readable side of a stream that is reset, too. */
  #onEnd(): void {
    const { stream, request } = this.#options
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) return
    this.#body?.end()
    this.#body = undefined
    // An answer that came before the end of the request: the rest is not wanted.
    if (stream.writableEnded) return
    if (request.body instanceof Readable) request.body.destroy()
    cancel(stream, new Error('the answer is whole'))
  }

  #onClose(): void {
    const { request, session } = this.#options
    session.leave()
    if (request.body instanceof Readable) request.body.destroy()
    if (!this.#isSettled || this.#body) this.#fail(this.#failure())
  }

  #failure(): GatewayError {
    const { stream, request } = this.#options
    const { rstCode } = stream
    const cause = this.#error
    const why = cause ? messageOf(cause) : `its stream was closed with code ${rstCode}`
    // Refused before anything was done, or never sent: even an order can be sent again. RFC 9113, section 8.7.
    if (!this.#isSent || rstCode === constants.NGHTTP2_REFUSED_STREAM)
      return new GatewayError('ERR_UPSTREAM_UNREACHABLE', `${request.origin} did not take the request: ${why}`, { cause })
    if (rstCode === constants.NGHTTP2_PROTOCOL_ERROR || isUnclean(cause))
      return new GatewayError('ERR_UPSTREAM_INVALID', `the answer of ${request.origin} is not clean HTTP/2: ${why}`, { cause })
    return new GatewayError('ERR_UPSTREAM_FAILED', `${request.origin} broke the connection: ${why}`, { cause })
  }

  #fail(reason: unknown): void {
    const { stream, reject } = this.#options
    if (!this.#isSettled) {
      this.#settle()
      reject(reason)
    }
    const error = reason instanceof Error ? reason : new Error(String(reason))
    this.#body?.fail(error)
    this.#body = undefined
    if (!stream.closed) cancel(stream, error)
  }

  /** Once the head is out, whoever wants no more destroys the body. */
  #settle(): void {
    this.#isSettled = true
    this.#options.request.cancellation.unlisten(this)
  }
}

/** Resets a stream. `close` would end a body that is still being sent, and a part of it would look like all of it. */
function cancel(stream: ClientHttp2Stream, reason: Error): void {
  if (stream.writableEnded) stream.close(constants.NGHTTP2_CANCEL)
  else stream.destroy(reason)
}

function statusOf(head: IncomingHttpHeaders & IncomingHttpStatusHeader): number {
  return head[':status'] ?? 0
}

/** What nghttp2 says of bytes that are no frames, such as those of a server of HTTP/1.1. */
function isUnclean(error: Error | undefined): boolean {
  return error !== undefined && 'code' in error && error.code === 'ERR_HTTP2_ERROR'
}
