import type { ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { World } from '@banyan/core'
import type { GatewayResponse } from '../exchange.ts'
import { endToEndTrailers, type HeaderList } from '../headers.ts'
import { idleTimer } from '../idle-timer.ts'
import { problem } from '../problem.ts'
import type { SendResult } from '../respond.ts'
import { dropAnswer } from '../upstream-client.ts'
import { fieldsOf } from './fields.ts'

/** The client's side of a stream. */
export interface StreamSide {
  readonly stream: ServerHttp2Stream
  readonly method: string
  /** How long it may take nothing of its answer, milliseconds. */
  readonly idleTimeoutMs: number
  readonly world: World
  /** Told before the stream is reset as the service cuts its answer: that is not the client's doing. */
  readonly onCut?: () => void
}

/** How an answer went out, and with which status. */
export interface Sent {
  readonly status: number
  readonly end: SendResult
}

/**
 * Sends an answer on a stream of HTTP/2, no faster than the client takes it, and its trailers. An answer that is cut short resets the
 * stream: it never looks whole.
 */
export async function sendAnswer(answer: GatewayResponse, client: StreamSide): Promise<Sent> {
  const { stream, method } = client
  if (stream.destroyed || stream.closed) {
    dropAnswer(answer)
    return { status: answer.status, end: 'gone' }
  }
  const { status, body } = sendHead(answer, stream, method)
  if (body instanceof Readable) return { status, end: await forward(body, client) }
  if (!stream.writableEnded) stream.end(body)
  // What is at hand holds nothing but its memory: a connection on which anything moves may keep it.
  if (body !== undefined && body.length > large) stream.setTimeout(client.idleTimeoutMs, () => stream.destroy(stalled()))
  return { status, end: 'sent' }
}

/** A timer is worth it for a body beyond this size, bytes. */
const large = 16_384

/** Sends the head, or that of a problem in its place. @returns what goes out, without a body where none may follow */
function sendHead(answer: GatewayResponse, stream: ServerHttp2Stream, method: string): GatewayResponse {
  try {
    return respond(answer, stream, method)
  } catch {
    // Node refuses a status or a header that HTTP/2 does not have: not the client's fault, nor ours.
    dropAnswer(answer)
    return respond(problem({ status: 502, code: 'ERR_UPSTREAM_INVALID', detail: NOT_CLEAN }), stream, method)
  }
}

function respond(answer: GatewayResponse, stream: ServerHttp2Stream, method: string): GatewayResponse {
  const { status, headers, body, trailers } = answer
  const isBare = isEmpty(body) || method === 'HEAD' || status === 204 || status === 304
  stream.respond({ ...fieldsOf(headers), ':status': status }, { endStream: isBare, waitForTrailers: !isBare && trailers !== undefined })
  if (trailers && !isBare) stream.once('wantTrailers', () => sendTrailers(trailers(), stream))
  if (!isBare) return answer
  dropAnswer(answer)
  return { status, headers }
}

const NOT_CLEAN = 'the answer of the service is not clean HTTP'

/** Nobody hears of an error thrown here. Trailers that cannot be sent are left out, as a proxy may do: the body has gone, and it is whole. */
function sendTrailers(trailers: HeaderList, stream: ServerHttp2Stream): void {
  try {
    stream.sendTrailers(fieldsOf(endToEndTrailers(trailers)))
  } catch {
    if (!stream.destroyed && !stream.closed) stream.sendTrailers({})
  }
}

function isEmpty(body: GatewayResponse['body']): boolean {
  return body === undefined || (!(body instanceof Readable) && body.length === 0)
}

/** A stream's own timeout would see no difference between this stream and the others of its connection. */
function forward(body: Readable, { stream, idleTimeoutMs, world, onCut }: StreamSide): Promise<SendResult> {
  let end: SendResult | undefined
  body.once('error', () => {
    end ??= stream.destroyed ? 'gone' : 'cut'
    if (end === 'cut') onCut?.()
  })
  const idle = idleTimer(world, idleTimeoutMs, () => {
    // Else it is the service that takes its time.
    if (!stream.writableNeedDrain && !stream.writableEnded) return idle.touch()
    end ??= 'stalled'
    idle.stop()
    stream.destroy(stalled())
  })
  body.on('data', idle.touch)
  stream.on('drain', idle.touch)
  return pipeline(body, stream)
    .then(
      () => 'sent' as const,
      () => end ?? 'gone',
    )
    .finally(idle.stop)
}

function stalled(): Error {
  return new Error('the client takes nothing of its answer')
}
