import type { ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { GatewayResponse } from '../exchange.ts'
import { endToEndTrailers, type HeaderList } from '../headers.ts'
import { problem } from '../problem.ts'
import type { SendResult } from '../respond.ts'
import { dropAnswer } from '../upstream-client.ts'
import { fieldsOf } from './fields.ts'

/** How an answer went out, and with which status. */
export interface Sent {
  readonly status: number
  readonly end: SendResult
}

/**
 * Sends an answer on a stream of HTTP/2, no faster than the client takes it, and its trailers. An answer that is cut short resets the
 * stream: it never looks whole.
 */
export async function sendAnswer(answer: GatewayResponse, stream: ServerHttp2Stream, method: string): Promise<Sent> {
  if (stream.destroyed || stream.closed) {
    dropAnswer(answer)
    return { status: answer.status, end: 'gone' }
  }
  const { status, body } = sendHead(answer, stream, method)
  if (body instanceof Readable) return { status, end: await forward(body, stream) }
  if (!stream.writableEnded) stream.end(body)
  return { status, end: 'sent' }
}

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

function forward(body: Readable, stream: ServerHttp2Stream): Promise<SendResult> {
  let isUpstreamCut = false
  body.once('error', () => {
    isUpstreamCut = true
  })
  return pipeline(body, stream).then(
    () => 'sent' as const,
    () => (isUpstreamCut ? 'cut' : 'gone'),
  )
}
