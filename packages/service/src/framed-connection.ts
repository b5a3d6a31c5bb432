import { connect, type Socket } from 'node:net'
import { CodedError, type World } from '@banyan/core'
import { CallTable } from './framed-calls.ts'
import { readHeads, writtenHeads } from './framed-heads.ts'
import { Pending, type PendingCalls } from './framed-pending.ts'
import { frameReader } from './framed-reader.ts'
import {
  FRAME_HEAD_BYTES,
  FrameError,
  HEAD_START,
  headEnd,
  helloText,
  KIND,
  type Kind,
  readHello,
  readResponseHead,
  requestHead,
} from './framed-wire.ts'
import { frameBytes, frameWriter } from './framed-writer.ts'
import { NeverSentError } from './never-sent.ts'
import type { TransportRequest, TransportResponse } from './transport.ts'

export interface FramedConnectionOptions {
  readonly host: string
  readonly port: number
  /** Who has to be at the other end. */
  readonly service: string
  /** How long connecting and the other side's hello may take, milliseconds. */
  readonly connectTimeoutMs: number
  /** Larger frames are not taken, bytes. */
  readonly maxFrameBytes: number
  /** Without a call for so long it is closed, and with calls but without a sign of life asked for one, milliseconds. */
  readonly idleMs: number
  readonly world: World
}

/** Many calls over one socket to one instance. */
export interface FramedConnection {
  /** Whether it takes calls: neither closed nor asked to leave. */
  readonly open: boolean
  /** As a transport's `call`; `undefined` where the other side would not take it: it is leaving, or the request is too large. */
  call(request: TransportRequest): Promise<TransportResponse> | undefined
  close(): void
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>
}

/** The codes of {@link FramedError}. */
type FramedErrorCode = 'ERR_FRAMED_CLOSED' | 'ERR_FRAMED_HELLO' | 'ERR_FRAMED_FAILED'

class FramedError extends CodedError<FramedErrorCode> {}

/**
 * Opens a {@link FramedConnection}; resolves after both sides' hello.
 *
 * @throws what the socket failed with; `ERR_FRAMED_HELLO` when somebody else is there, or nobody says anything
 */
export function openFramed(options: FramedConnectionOptions): Promise<FramedConnection> {
  const { host, port, service, connectTimeoutMs, maxFrameBytes, idleMs, world } = options
  const socket = connect({ host, port, noDelay: true, keepAlive: true })
  const writer = frameWriter(socket)
  writer.frame(KIND.hello, 0, helloText({ service, maxFrameBytes }))
  writer.flush()
  return new Promise((resolve, reject) => {
    let calls: Calls | undefined
    const fail = (error: Error) => {
      socket.destroy()
      timer.cancel()
      calls?.end(error)
      reject(error)
    }
    const timer = world.after(connectTimeoutMs, () => fail(new FramedError('ERR_FRAMED_HELLO', `no hello within ${connectTimeoutMs} ms`)))
    const reader = frameReader(maxFrameBytes, (kind, call, content) => {
      if (calls) calls.take(kind, call, content)
      else {
        const serverTakes = greeted(service, kind, content)
        timer.cancel()
        calls = new Calls(socket, serverTakes, idleMs)
        resolve(calls)
      }
    })
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk)
      } catch (error) {
        // Whatever it is, this connection cannot be read any further.
        fail(error instanceof Error ? error : new Error(String(error)))
      }
    })
    socket.on('error', fail)
    socket.on('close', () => fail(new FramedError('ERR_FRAMED_CLOSED', 'the connection was closed')))
  })
}

/** Reads the other side's first frame: the largest one it takes. @throws when it is another service, or none */
function greeted(service: string, kind: Kind, content: Buffer): number {
  if (kind !== KIND.hello) throw new FrameError('the first frame is no hello')
  const hello = readHello(content)
  if (hello.service === service) return hello.maxFrameBytes
  throw new FramedError('ERR_FRAMED_HELLO', `"${hello.service}" is there, wanted "${service}"`)
}

/** The calls of one connection that has said hello. */
class Calls implements FramedConnection, PendingCalls {
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #writer: ReturnType<typeof frameWriter>
  readonly #serverTakes: number
  readonly #headOf = readHeads(readResponseHead)
  readonly #sharedHeadOf = writtenHeads()
  readonly #pending = new CallTable<Pending>()
  #waiting: (() => void)[] = []
  #last = 0
  #leaving = false
  #asked = false
  #over: Error | undefined

  constructor(socket: Socket, serverTakes: number, idleMs: number) {
    this.#socket = socket
    this.#writer = frameWriter(socket)
    this.#serverTakes = serverTakes
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('drain', () => this.#wake())
    socket.setTimeout(idleMs)
    socket.on('timeout', () => this.#onSilence())
    // Nobody's process stays for a connection without calls.
    socket.unref()
  }

  get open(): boolean {
    return !this.#leaving && !this.#over
  }

  call(request: TransportRequest): Promise<TransportResponse> | undefined {
    if (!this.open) return undefined
    const { body = '' } = request
    const head = this.#headTextOf(request)
    const takes = this.#serverTakes
    // No character takes more than three bytes.
    if ((head.length + body.length) * 3 > takes - FRAME_HEAD_BYTES && frameBytes(head, body) > takes) return undefined
    // The other side does not read as fast as this one calls.
    if (this.#socket.writableNeedDrain) return this.#later(request, head, body)
    return this.#send(request, head, body)
  }

  async #later(request: TransportRequest, head: string, body: string): Promise<TransportResponse> {
    while (this.#socket.writableNeedDrain && !this.#over) await this.#writable(request.signal)
    if (this.open) return this.#send(request, head, body)
    throw new NeverSentError(this.#over ?? new FramedError('ERR_FRAMED_CLOSED', 'the service is leaving'))
  }

  #send(request: TransportRequest, head: string, body: string): Promise<TransportResponse> {
    if (this.#pending.size === 0) this.#socket.ref()
    const id = this.#nextId()
    return new Promise((resolve, reject) => {
      this.#pending.add(id, new Pending(this, id, request, resolve, reject))
      this.#writer.message(KIND.request, id, head, body)
    })
  }

  /** @throws {FrameError} */
  take(kind: Kind, id: number, content: Buffer): void {
    this.#asked = false
    if (kind === KIND.response) this.#answer(id, content)
    else if (kind === KIND.failed) this.#settle(id)?.reject(new FramedError('ERR_FRAMED_FAILED', content.toString()))
    else if (kind === KIND.leaving) this.#leave()
    else if (kind === KIND.ping) this.#writer.frame(KIND.pong, 0)
    else if (kind !== KIND.pong) throw new FrameError(`a frame of kind ${kind} comes from no service`)
  }

  #answer(id: number, content: Buffer): void {
    const end = headEnd(content)
    const { status, headers } = this.#headOf(content, HEAD_START, end)
    const body = end === content.length ? '' : content.toString('utf8', end)
    this.#settle(id)?.resolve({ status, headers, body })
  }

  #headTextOf(request: TransportRequest): string {
    return request.sharesHeaders ? this.#sharedHeadOf(request) : requestHead(request)
  }

  /** Nobody waits for a call any more. */
  cancel(pending: Pending, reason: unknown): void {
    if (!this.#settle(pending.id)) return
    this.#writer.frame(KIND.cancel, pending.id)
    pending.reject(reason)
  }

  /** The connection is gone: what was on its way may have been done or not. */
  end(error: Error): void {
    if (this.#over) return
    this.#over = error
    for (const pending of this.#pending.values()) this.#settle(pending.id)?.reject(error)
    this.#wake()
  }

  close(): void {
    this.end(new FramedError('ERR_FRAMED_CLOSED', 'the connection was closed'))
    this.#socket.destroy()
  }

  /** Answers to calls that were cancelled belong to nobody. */
  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    if (!pending) return undefined
    this.#pending.delete(id)
    pending.leave()
    if (this.#pending.size === 0) this.#rest()
    return pending
  }

  #rest(): void {
    this.#socket.unref()
    if (this.#leaving) this.#socket.end()
  }

  #leave(): void {
    this.#leaving = true
    if (this.#pending.size === 0) this.#socket.end()
  }

  /** Nothing has come or gone for a while. */
  #onSilence(): void {
    if (this.#pending.size === 0) this.close()
    else if (this.#asked) this.#giveUp()
    else {
      this.#asked = true
      this.#writer.frame(KIND.ping, 0)
    }
  }

  #giveUp(): void {
    this.end(new FramedError('ERR_FRAMED_CLOSED', 'the other side gives no sign of life'))
    this.#socket.destroy()
  }

  #nextId(): number {
    do this.#last = (this.#last + 1) >>> 0
    while (this.#last === 0 || this.#pending.get(this.#last))
    return this.#last
  }

  #writable(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const wake = () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((other) => other !== wake)
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(wake)
    })
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
