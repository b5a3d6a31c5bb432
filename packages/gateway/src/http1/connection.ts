import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { messageOf, type World } from '@banyan/core'
import type { AbortListener } from '@banyan/resilience'
import { type AnswerBody, answerBody } from '../answer-body.ts'
import { GatewayError } from '../errors.ts'
import { type HeaderList, headerOf } from '../headers.ts'
import type { UpstreamAnswer, UpstreamRequest } from '../upstream-client.ts'
import { writeRequestHead } from './request-head.ts'
import { type RequestWriter, writeRequest } from './request-writer.ts'
import { type ResponseHead, UncleanError } from './response-head.ts'
import { ResponseParser } from './response-parser.ts'
import type { SharedReading } from './shared-reading.ts'

export interface ConnectionOptions {
  readonly socket: Socket
  /** How the socket is read; `undefined`: by its `data`, and then it can become a tunnel. */
  readonly reading: SharedReading | undefined
  /** `http://127.0.0.1:3001`. */
  readonly origin: string
  /** For requests without a `host`. */
  readonly host: string
  readonly world: World
  /** It may serve another request now. */
  readonly onIdle: (connection: Connection) => void
  /** It serves no more. */
  readonly onClosed: (connection: Connection) => void
}

/** What is under way on a connection. */
interface Exchange {
  readonly request: UpstreamRequest
  readonly resolve: (answer: UpstreamAnswer) => void
  readonly reject: (error: unknown) => void
  writer: RequestWriter | undefined
  head: ResponseHead | undefined
  /** What has come of the body while nobody had the answer. */
  readonly parts: Buffer[]
  /** Once somebody has it. */
  body: AnswerBody | undefined
  trailers: HeaderList
  /** All of the answer has come. */
  hasEnded: boolean
}

const NOTHING = Buffer.alloc(0)

/**
 * One connection to an upstream: one request at a time, and the next one only after a whole and clean answer to one that was sent
 * whole. So no byte is ever read as part of another answer than its own.
 */
export class Connection implements AbortListener {
  /** Since when it has been idle, in `world.monotonic()` time. */
  idleSince: number
  /** How long the other side keeps it, as it says, milliseconds. */
  keptForMs: number | undefined
  readonly #options: ConnectionOptions
  readonly #parser: ResponseParser
  #current: Exchange | undefined
  #isLast = false
  #isOpen = true

  /** @param options with a socket that is open */
  constructor(options: ConnectionOptions) {
    this.#options = options
    this.idleSince = options.world.monotonic()
    this.#parser = new ResponseParser({
      onInterim: ({ status, headers }) => this.#current?.request.onInterim?.(status, headers),
      onHead: (head) => this.#onHead(head),
      onData: (data) => this.#onBody(data),
      onEnd: (trailers, isClean) => this.#onAnswered(trailers, isClean),
      onSwitch: (head, first) => this.#onSwitch(head, first),
    })
    const { socket, reading } = options
    if (reading) reading.take = this.#onData
    else socket.on('data', this.#onData)
    socket.on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose)
  }

  /**
   * Sends a request, when none is under way. `resolve` is called when the answer's head has come, with a body that is whole or still
   * comes; else `reject`.
   */
  send(request: UpstreamRequest, resolve: Exchange['resolve'], reject: Exchange['reject']): void {
    const { socket, host } = this.#options
    const { cancellation, body, headers, method, isUpgrade } = request
    const announced = headerOf(headers, 'content-length')
    const isChunked = body instanceof Readable && announced === undefined
    let head: string
    try {
      head = writeRequestHead(request, { host, isChunked })
    } catch (error) {
      reject(error)
      this.#options.onIdle(this)
      return
    }
    const none = undefined
    const exchange: Exchange = { request, resolve, reject, writer: none, head: none, parts: [], body: none, trailers: [], hasEnded: false }
    this.#current = exchange
    cancellation.listen(this)
    this.#parser.expect(method, isUpgrade)
    const length = announced === undefined ? undefined : Number(announced)
    exchange.writer = writeRequest(socket, { head, body, length, trailers: request.trailers }, (error) => this.#close(error))
  }

  /** The request under way is not wanted any more. */
  onAbort(reason: unknown): void {
    this.#close(reason)
  }

  destroy(): void {
    this.#close(new GatewayError('ERR_UPSTREAM_FAILED', `${this.#options.origin}: the gateway closes its connections`))
  }

  #onHead(head: ResponseHead): void {
    if (this.#current) this.#current.head = head
  }

  #onBody(part: Buffer): void {
    const exchange = this.#current
    if (!exchange) return
    // The next read will be where this one is.
    const data = this.#options.reading ? Buffer.from(part) : part
    if (!exchange.body) exchange.parts.push(data)
    else if (!exchange.body.push(data)) this.#options.socket.pause()
  }

  #onAnswered(trailers: HeaderList, isClean: boolean): void {
    const exchange = this.#current
    if (!exchange) return
    exchange.trailers = trailers
    exchange.hasEnded = true
    this.keptForMs = exchange.head?.keptForMs
    this.#isLast ||= !isClean || !exchange.head?.isKept || !exchange.writer?.isDone
    if (!exchange.body) return
    const { body } = exchange
    this.#finish(exchange)
    body.end()
  }

  /** The socket belongs to whoever takes the tunnel. */
  #onSwitch({ status, headers }: ResponseHead, first: Buffer): void {
    const { socket } = this.#options
    const exchange = this.#current
    if (!exchange) return
    socket.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onError).off('close', this.#onClose)
    socket.pause()
    if (first.length > 0) socket.unshift(first)
    this.#leave(exchange)
    this.#retire()
    exchange.resolve({ status, headers, body: NOTHING, tunnel: socket })
  }

  readonly #onData = (bytes: Buffer): void => {
    try {
      this.#parser.read(bytes)
    } catch (error) {
      if (!(error instanceof UncleanError)) throw error
      this.#close(this.#unclean(error))
      return
    }
    this.#deliver()
  }

  readonly #onEnd = (): void => {
    const isWhole = this.#parser.close()
    this.#deliver()
    this.#close(isWhole ? undefined : this.#broken('it closed the connection in the middle of its answer'))
  }

  readonly #onError = (error: Error): void => this.#close(this.#broken(messageOf(error), error))
  readonly #onClose = (): void => this.#close(this.#broken('the connection is closed'))

  /** After each read: whoever waits for the head gets it. */
  #deliver(): void {
    const exchange = this.#current
    if (!exchange?.head || exchange.body) return
    const { head, parts, resolve } = exchange
    const { status, headers } = head
    if (exchange.hasEnded) {
      this.#finish(exchange)
      const body = parts.length === 1 ? (parts[0] ?? NOTHING) : Buffer.concat(parts)
      resolve(exchange.trailers.length === 0 ? { status, headers, body } : { status, headers, body, trailers: () => exchange.trailers })
      return
    }
    this.#ignoreAbort(exchange)
    const { socket, world } = this.#options
    exchange.body = answerBody({
      world,
      idleTimeoutMs: exchange.request.idleTimeoutMs,
      onWanted: () => void socket.resume(),
      onDropped: (reason) => this.#close(reason),
    })
    for (const part of parts) if (!exchange.body.push(part)) socket.pause()
    resolve({ status, headers, body: exchange.body.stream, trailers: () => exchange.trailers })
  }

  /** The answer is whole. */
  #finish(exchange: Exchange): void {
    this.#leave(exchange)
    if (this.#isLast) {
      this.#close(undefined)
      return
    }
    this.idleSince = this.#options.world.monotonic()
    this.#options.socket.resume()
    this.#options.onIdle(this)
  }

  #leave(exchange: Exchange): void {
    this.#current = undefined
    exchange.writer?.stop()
    if (exchange.request.body instanceof Readable && !exchange.writer?.isDone) exchange.request.body.destroy()
    this.#ignoreAbort(exchange)
  }

  /** Once the head is out, whoever wants no more destroys the body. */
  #ignoreAbort({ request }: Exchange): void {
    request.cancellation.unlisten(this)
  }

  #unclean({ message }: Error): GatewayError {
    return new GatewayError('ERR_UPSTREAM_INVALID', `the answer of ${this.#options.origin} is not clean HTTP: ${message}`)
  }

  #broken(why: string, cause?: unknown): GatewayError {
    return new GatewayError('ERR_UPSTREAM_FAILED', `${this.#options.origin} broke the connection: ${why}`, { cause })
  }

  /** Ends the connection, and with `reason` what is under way. */
  #close(reason: unknown): void {
    this.#retire()
    this.#options.socket.destroy()
    const exchange = this.#current
    if (!exchange) return
    this.#leave(exchange)
    const { body, reject } = exchange
    if (body) body.fail(reason instanceof Error ? reason : new Error(String(reason)))
    else reject(reason)
  }

  #retire(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#options.onClosed(this)
  }
}
