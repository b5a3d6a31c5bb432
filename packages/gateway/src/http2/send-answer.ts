import type { ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { GatewayResponse } from '../exchange.ts'
import { endToEndTrailers } from '../headers.ts'
import type { SendResult } from '../respond.ts'
import { dropAnswer } from '../upstream-client.ts'
import { fieldsOf } from './fields.ts'

/**
 * Sends an answer on a stream of HTTP/2, no faster than the client takes it, and its trailers. An answer that is cut short resets the
 * stream: it never looks whole.
 */
export async function sendAnswer(answer: GatewayResponse, stream: ServerHttp2Stream, method: string): Promise<SendResult> {
  const { status, headers, body, trailers } = answer
  if (stream.destroyed || stream.closed) {
    dropAnswer(answer)
    return 'gone'
  }
  const isBare = isEmpty(body) || method === 'HEAD' || status === 204 || status === 304
  const fields = { ...fieldsOf(headers), ':status': status }
  if (isBare) {
    dropAnswer(answer)
    stream.respond(fields, { endStream: true })
    return 'sent'
  }
  if (trailers) stream.once('wantTrailers', () => stream.sendTrailers(fieldsOf(endToEndTrailers(trailers()))))
  stream.respond(fields, { waitForTrailers: trailers !== undefined })
  if (body instanceof Readable) return forward(body, stream)
  stream.end(body)
  return 'sent'
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
