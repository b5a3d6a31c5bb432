import type { Socket } from 'node:net'
import { frameReader } from './framed-reader.ts'
import { framedTurns } from './framed-turns.ts'
import { FRAME_HEAD_BYTES, FrameError, helloText, KIND, type Kind, readHello, readRequestFrame, responseHead } from './framed-wire.ts'
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
  const { service, socket, handle, maxFrameBytes, maxInFlight, onBroken } = options
  const writer = frameWriter(socket)
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
    // Also to a client that wants another service: it sees from this that it is wrong here.
    writer.frame(KIND.hello, 0, helloText({ service, maxFrameBytes }))
    if (leaving) writer.frame(KIND.leaving, 0)
  }

  function begin(call: number, content: Buffer): void {
    if (!turns.take(call, readRequestFrame(content))) throw new FrameError(`the call ${call} is on its way already`)
    if (turns.full) socket.pause()
  }

  function onAnswer(call: number, response: TransportResponse | undefined): void {
    if (socket.destroyed) return
    if (response) answer(call, response)
    if (mayRead()) socket.resume()
    else socket.pause()
  }

  function answer(call: number, response: TransportResponse): void {
    const head = responseHead(response)
    const bytes = frameBytes(head, response.body)
    if (bytes > clientTakes) writer.frame(KIND.failed, call, `the answer takes ${bytes} bytes, wanted at most ${clientTakes}`)
    else writer.message(KIND.response, call, head, response.body)
  }

  function mayRead(): boolean {
    return !turns.full && socket.writableLength < MAX_WAITING_BYTES
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

/** The least that a frame may be limited to. */
export const LEAST_FRAME_BYTES: number = FRAME_HEAD_BYTES + 1_024
