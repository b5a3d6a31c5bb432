import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { GatewayResponse } from '../exchange.ts'
import { type HeaderList, isHopByHop } from '../headers.ts'
import type { SendResult } from '../respond.ts'
import { dropAnswer } from '../upstream-client.ts'

/**
 * Sends an answer on a stream of HTTP/2, no faster than the client takes it. An answer that is cut short resets the stream: it never looks
 * whole. A client that still sends its body then is told to stop, without an error.
 *
 * @see RFC 9113, section 8.1
 */
export async function sendAnswer(answer: GatewayResponse, stream: ServerHttp2Stream, method: string): Promise<SendResult> {
  const { status, headers, body } = answer
  if (stream.destroyed || stream.closed) {
    dropAnswer(answer)
    return 'gone'
  }
  const isBare = method === 'HEAD' || status === 204 || status === 304
  stream.once('finish', () => {
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
  })
  stream.respond({ ...fieldsOf(headers), ':status': status })
  if (isBare || !(body instanceof Readable)) {
    if (isBare) dropAnswer(answer)
    // The check above leaves only what came whole.
    stream.end(isBare || body instanceof Readable ? undefined : body)
    return 'sent'
  }
  let isUpstreamCut = false
  body.once('error', () => {
    isUpstreamCut = true
  })
  return pipeline(body, stream).then(
    () => 'sent' as const,
    () => (isUpstreamCut ? 'cut' : 'gone'),
  )
}

function fieldsOf(headers: HeaderList): OutgoingHttpHeaders {
  const fields: Record<string, string | string[]> = {}
  for (let index = 0; index < headers.length; index += 2) {
    const name = (headers[index] ?? '').toLowerCase()
    if (isHopByHop(name)) continue
    const value = headers[index + 1] ?? ''
    const before = fields[name]
    fields[name] = before === undefined ? value : [before, value].flat()
  }
  return fields
}
