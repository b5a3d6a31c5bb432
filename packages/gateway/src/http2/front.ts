import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { type Logger, sleep, type World } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import { GatewayError } from '../errors.ts'
import { grpcAnswer, isGrpc } from '../grpc.ts'
import type { Inbound } from '../inbound.ts'
import type { Pipeline } from '../pipeline.ts'
import { defaultIdleTimeoutMs } from '../snapshot.ts'
import { refuseUnread } from '../unread.ts'
import { asSaid } from './fields.ts'
import { readRequestHead } from './request-head.ts'
import { afterReset, resetBurst } from './reset-budget.ts'
import { sendAnswer } from './send-answer.ts'

export interface Http2FrontOptions {
  /** Of the decoded head of a request, bytes. */
  readonly maxHeaderBytes: number
  /** A connection on which nothing happens for this long is closed. */
  readonly keepAliveMs: number
  /** A client must have sent a whole request within this. */
  readonly requestTimeoutMs: number
  readonly handle: Pipeline
  readonly world: World
  readonly log: Logger
}

/** Serves connections that speak HTTP/2. */
export interface Http2Front {
  take(socket: Socket): void
  /** Says GOAWAY, but takes what is on its way to it meanwhile. @see RFC 9113, section 6.8 */
  warn(): void
  /** Says GOAWAY: streams under way end, no others begin. */
  drain(): void
  /** Cuts what is left. */
  destroy(): void
}

/**
 * Creates a {@link Http2Front} on `node:http2`. What nghttp2 bounds by itself: CONTINUATION frames, unanswered pings and settings. What it
 * is told here: streams at once, the size of heads, and how often a client may reset streams (CVE-2023-44487).
 */
export function http2Front(options: Http2FrontOptions): Http2Front {
  const sessions = new Set<ServerHttp2Session>()
  /** They outlive their sessions while something waits to be sent. */
  const sockets = new Set<Socket>()
  const { maxHeaderBytes, log } = options
  const settings = { maxConcurrentStreams: 100, maxHeaderListSize: maxHeaderBytes, enablePush: false, enableConnectProtocol: false }
  return {
    take(socket) {
      const session = performServerHandshake(socket, {
        ...asSaid,
        settings,
        maxSessionInvalidFrames: 10,
      })
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      sessions.add(session)
      session.once('close', () => sessions.delete(session))
      session.on('error', (error) => log.debug({ err: error }, 'a connection of HTTP/2 broke'))
      serveSession(session, socket, options)
    },
    warn() {
      for (const session of sessions) if (!session.destroyed) session.goaway(constants.NGHTTP2_NO_ERROR, lastOfAll)
    },
    drain() {
      for (const session of sessions) session.close()
    },
    destroy() {
      for (const session of sessions) session.destroy()
      // A session waits for a client to take the rest, which it might never do.
      for (const socket of sockets) socket.destroy()
    },
  }
}

function serveSession(session: ServerHttp2Session, socket: Socket, options: Http2FrontOptions): void {
  const { keepAliveMs, world, log } = options
  /** Answers that have been handed over, and wait for the client to take them. */
  let waiting = 0
  let budget = { left: resetBurst, at: world.monotonic() }
  session.setTimeout(keepAliveMs, () => (waiting > 0 ? cut(session, socket) : closeIdle(session, socket, options)))
  session.on('stream', (stream, _, flags, fields) => {
    let isWaiting = false
    let isCut = false
    const onCut = () => {
      isCut = true
    }
    stream.once('close', () => {
      if (isWaiting) waiting -= 1
      if (isCut || !wasReset(stream)) return
      budget = afterReset(budget, world.monotonic())
      if (budget.left < 0) session.destroy(tooManyResets(), constants.NGHTTP2_ENHANCE_YOUR_CALM)
    })
    const hasEnded = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    if (!hasEnded) boundRequest(stream, options)
    serve({ stream, socket, fields, hasEnded, onCut }, options).then(
      () => {
        isWaiting = !stream.closed
        if (isWaiting) waiting += 1
      },
      (error) => {
        log.error({ err: error }, 'the gateway failed on a request')
        reset(stream, constants.NGHTTP2_INTERNAL_ERROR)
      },
    )
  })
}

function cut(session: ServerHttp2Session, socket: Socket): void {
  session.destroy()
  socket.destroy()
}

/** Closes a connection when its streams are over. Its client need not have its side open for any longer, nor take what is said last. */
function closeIdle(session: ServerHttp2Session, socket: Socket, { keepAliveMs, world }: Http2FrontOptions): void {
  session.close()
  const look = () => {
    if (session.destroyed) socket.destroy()
    else timer = world.after(keepAliveMs, look)
  }
  let timer = world.after(keepAliveMs, look)
  socket.once('close', () => timer.cancel())
}

/** No stream is beyond it: none is refused yet. */
const lastOfAll = 2 ** 31 - 1

function tooManyResets(): GatewayError {
  return new GatewayError('ERR_REQUEST_INVALID', `the client resets streams too fast: more than ${resetBurst} in a burst`, { status: 400 })
}

/** Resets a stream whose request is not whole in time: a client could hold it open for ever, byte by byte. */
function boundRequest(stream: ServerHttp2Stream, { requestTimeoutMs, world }: Http2FrontOptions): void {
  const over = new AbortController()
  const end = () => over.abort()
  stream.once('end', end).once('close', end)
  sleep(world, requestTimeoutMs, over.signal).then(
    () => reset(stream, constants.NGHTTP2_CANCEL),
    // Aborted: the request is whole, or the stream is gone.
    () => undefined,
  )
}

/** A client that still sends its body is read on for this long after the answer: a reset at once would take the answer with it. */
const lingerMs = 2_000

/** Tells a client that no more of its body is wanted, without an error. @see RFC 9113, section 8.1 */
function stopClient(stream: ServerHttp2Stream, world: World): void {
  if (stream.readableEnded || stream.closed) return
  const over = new AbortController()
  const end = () => over.abort()
  stream.once('end', end).once('close', end)
  sleep(world, lingerMs, over.signal).then(
    () => stream.close(constants.NGHTTP2_NO_ERROR),
    // Aborted: the request is whole, or the stream is gone.
    () => undefined,
  )
}

/** Resets a stream. `close` would end an answer that has begun, and a part of it would look like all of it. */
function reset(stream: ServerHttp2Stream, code: number): void {
  if (stream.headersSent) stream.destroy(new Error('the stream is reset'))
  else stream.close(code)
}

/** Node ends the writable side of a stream that is reset, so that does not tell. */
function wasReset({ aborted, rstCode }: ServerHttp2Stream): boolean {
  return aborted || rstCode !== constants.NGHTTP2_NO_ERROR
}

interface Arrived {
  readonly stream: ServerHttp2Stream
  readonly socket: Socket
  readonly fields: readonly string[]
  readonly hasEnded: boolean
  readonly onCut: () => void
}

async function serve({ stream, socket, fields, hasEnded, onCut }: Arrived, { handle, world, log }: Http2FrontOptions): Promise<void> {
  stream.on('error', (error) => log.debug({ err: error }, 'a stream of HTTP/2 broke'))
  const head = readRequestHead(fields, hasEnded)
  if ('refused' in head) {
    const refusal = refuseUnread({ status: 400, code: 'ERR_REQUEST_INVALID', detail: head.refused }, log)
    await sendAnswer(refusal, { stream, method: '', idleTimeoutMs: defaultIdleTimeoutMs, world })
    stream.resume()
    stopClient(stream, world)
    return
  }
  const cancellation = new Cancellation(world)
  stream.once('close', () => {
    if (wasReset(stream)) cancellation.abort(new GatewayError('ERR_CLIENT_GONE', 'the client has gone', { status: 499 }))
  })
  const message: Inbound = Object.assign(stream, { ...head, httpVersion: '2', socket, rawTrailers: [] })
  stream.on('trailers', (_fields, _flags, rawTrailers: string[]) => {
    message.rawTrailers = rawTrailers
  })
  const onBodyWanted = () => {
    if (fields.some((name, index) => index % 2 === 0 && name === 'expect')) stream.additionalHeaders({ ':status': 100 })
  }
  const { response, body, idleTimeoutMs, finish } = await handle(message, { cancellation, isUpgrade: false, onBodyWanted })
  const answer = isGrpc(head.rawHeaders) ? grpcAnswer(response) : response
  const { status, end } = await sendAnswer(answer, { stream, method: head.method, idleTimeoutMs, world, onCut })
  if (!hasEnded) {
    body.discard()
    stopClient(stream, world)
  }
  // A status of gRPC is logged as the one of HTTP that it stands for.
  finish(end === 'gone' ? 499 : status === answer.status ? response.status : status, end)
}
