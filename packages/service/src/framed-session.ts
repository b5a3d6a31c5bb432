import type { Socket } from 'node:net'
import { readHeads } from './framed-heads.ts'
import { frameReader } from './framed-reader.ts'
import { framedTurns } from './framed-turns.ts'
import {
  FRAME_HEAD_BYTES,
  FrameError,
  HEAD_START,
  headEnd,
  helloText,
  KIND,
  type Kind,
  readHello,
  readRequestHead,
  responseHead,
} from './framed-wire.ts'
import { frameBytes, frameWriter } from './framed-writer.ts'
import type { TransportResponse, UniversalHandler } from './transport.ts'

export interface FramedSessionOptions {
  readonly service: string
  readonly socket: Socket
  readonly handle: UniversalHandler
  /** Larger frames are not taken, bytes. */
  readonly maxFrameBytes: number
  /** With so many calls on their way no more are read. */
  readonly maxInFlight: number
  /** The client has said hello. */
  readonly onHello: () => void
  /** The client has not kept to the protocol, and is cut off. */
  readonly onBroken: (error: FrameError) => void
}

/** One client's connection, seen from the service. */
export interface FramedSession {
  /** Asks the client to make no more calls here; it closes the connection when it has its answers. */
  leave(): void
}

/** Answers that wait for a client to read them, bytes: with more, no more calls are read from it. */
const MAX_WAITING_BYTES = 1024 * 1024

/** Serves the calls that come over `socket`. A frame that is malformed ends this connection and nothing else. */
export function framedSession(options: FramedSessionOptions): FramedSession {
  const { service, socket, handle, maxFrameBytes, maxInFlight, onHello, onBroken } = options
  const writer = frameWriter(socket)
  const headOf = readHeads(readRequestHead)
  const headTextOf = lastHead()
  const turns = framedTurns({ service, handle, maxInFlight, onAnswer })
  /** What the client takes at most; 0 before its hello. */
  let clientTakes = 0
  let leaving = false

  function onFrame(kind: Kind, call: number, content: Buffer): void {
    if (clientTakes === 0) greet(kind, content)
    else if (kind === KIND.request) begin(call, content)
    // What is not known has been answered meanwhile.
    else if (kind === KIND.cancel) turns.cancel(call)
    else if (kind === KIND.ping) writer.frame(KIND.pong, call)
    else if (kind !== KIND.pong) throw new FrameError(`a frame of kind ${kind} comes from no client`)
  }

  function greet(kind: Kind, content: Buffer): void {
    if (kind !== KIND.hello) throw new FrameError('the first frame is no hello')
    const hello = readHello(content)
    clientTakes = hello.maxFrameBytes
    onHello()
    // Also to a client that wants another service: it sees from this that it is wrong here.
    writer.frame(KIND.hello, 0, helloText({ service, maxFrameBytes }))
    if (leaving) writer.frame(KIND.leaving, 0)
  }

  function begin(call: number, content: Buffer): void {
    const end = headEnd(content)
    const head = headOf(content, HEAD_START, end)
    const body = end === content.length ? undefined : content.toString('utf8', end)
    if (!turns.take(call, head, body)) throw new FrameError(`the call ${call} is on its way already`)
    if (turns.isFull()) socket.pause()
  }

  function onAnswer(call: number, response: TransportResponse | undefined): void {
    if (socket.destroyed) return
    if (response) answer(call, response)
    // Most answers come in the turn of their call, and then it has not been paused.
    if (!mayRead()) socket.pause()
    else if (socket.isPaused()) socket.resume()
  }

  function answer(call: number, response: TransportResponse): void {
    const { body } = response
    const head = headTextOf(response)
    // No character takes more than three bytes.
    const isLarge = (head.length + body.length) * 3 > clientTakes - FRAME_HEAD_BYTES - HEAD_START
    const bytes = isLarge ? frameBytes(head, body) : 0
    if (bytes > clientTakes) writer.frame(KIND.failed, call, `the answer takes ${bytes} bytes, wanted at most ${clientTakes}`)
    else writer.message(KIND.response, call, head, body)
  }

  function mayRead(): boolean {
    return !turns.isFull() && socket.writableLength < MAX_WAITING_BYTES
  }

  const reader = frameReader(maxFrameBytes, onFrame)
  socket.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk)
    } catch (error) {
      socket.destroy()
      if (!(error instanceof FrameError)) throw error
      onBroken(error)
    }
  })
  socket.on('drain', () => {
    if (mayRead()) socket.resume()
  })
  // What went wrong with a connection shows in its calls, which are cancelled.
  socket.on('error', () => {})
  socket.on('close', () => turns.cancelAll())

  return {
    leave() {
      leaving = true
      // Who has not said hello has made no call.
      if (clientTakes === 0) socket.destroy()
      else writer.frame(KIND.leaving, 0)
    },
  }
}

/** The text of an answer's head; most answers have the same headers, the very object, as the one before. */
function lastHead(): (response: TransportResponse) => string {
  const last = { status: 0, headers: {}, text: '' }
  return ({ status, headers }) => {
    if (headers === last.headers && status === last.status) return last.text
    const text = responseHead({ status, headers })
    // An object that somebody may still change is another answer next time.
    if (Object.isFrozen(headers)) Object.assign(last, { status, headers, text })
    return text
  }
}

/** The least that a frame may be limited to. */
export const LEAST_FRAME_BYTES: number = FRAME_HEAD_BYTES + 1_024
