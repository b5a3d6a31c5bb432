import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { sleep, type World } from '@banyan/core'
import type { GatewayResponse } from './exchange.ts'
import { endToEndTrailers, type HeaderList, headerOf } from './headers.ts'
import { problem } from './problem.ts'
import { type ClientBody, replayBytes } from './request-body.ts'
import { whenStalled } from './stalled-client.ts'
import { dropAnswer } from './upstream-client.ts'
import { writeSoon } from './write-batch.ts'

/** How an answer went out: whole, cut because the upstream cut it or the client took no more of it, or not at all as the client had gone. */
export type SendResult = 'sent' | 'cut' | 'stalled' | 'gone'

/** The client's side of an exchange. */
export interface ClientSide {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  readonly body: ClientBody
  /** The client waits for a `100 Continue` that it was not given, so its body never comes. */
  readonly isHoldingBody: () => boolean
  /** The gateway stops: ask the client to connect anew. */
  readonly isDraining: () => boolean
  /** How long it may take nothing of its answer, milliseconds. */
  readonly idleTimeoutMs: number
  readonly world: World
}

/** A client that still sends its body is read on for this long after the answer, or it might lose the answer to a reset. */
const lingerMs = 2_000

/**
 * Sends an answer to the client, no faster than the client takes it. An answer that the upstream cuts short cuts the client's
 * connection: it never looks whole.
 */
export function sendResponse(answer: GatewayResponse, client: ClientSide): SendResult | Promise<SendResult> {
  const { response, message } = client
  if (response.destroyed) {
    dropAnswer(answer)
    return 'gone'
  }
  const isUnfinished = !message.complete && client.body.length !== 0
  const isClosing = isUnfinished && (client.isHoldingBody() || client.body.length === undefined || client.body.length > replayBytes)
  const { body, trailers } = writeHead(withWantedTrailers(answer, message), client, isClosing || client.isDraining())
  // Most answers have come with their heads, and most requests are whole by then: nothing to wait for.
  if (!(body instanceof Readable) && client.body.isComplete && !trailers) return end(client, message.method === 'HEAD' ? undefined : body)
  return sendRest(body, client, isClosing, trailers)
}

async function sendRest(
  body: GatewayResponse['body'],
  client: ClientSide,
  isClosing: boolean,
  trailers: GatewayResponse['trailers'],
): Promise<SendResult> {
  const { response, message } = client
  if (body instanceof Readable) {
    const result = await stream(body, client)
    if (result !== 'sent') return result
  } else if (body !== undefined && message.method !== 'HEAD') response.write(body)
  if (!client.body.isComplete) await takeRest(client, isClosing)
  if (trailers) response.addTrailers(pairsOf(endToEndTrailers(trailers())))
  response.end()
  return taken(client)
}

/** When the client has taken all of an answer that has ended. */
function taken({ response, idleTimeoutMs }: ClientSide): SendResult | Promise<SendResult> {
  if (response.writableFinished) return 'sent'
  return new Promise((resolve) => {
    whenStalled(response, idleTimeoutMs, () => {
      resolve('stalled')
      response.destroy()
    })
    response.once('finish', () => resolve('sent')).once('close', () => resolve('gone'))
  })
}

/** A body up to this size goes out in one write with its head, as Node does with text only: the kernel's work is worth more than a copy. */
const oneWrite = 16_384

function end(client: ClientSide, body: string | Uint8Array | undefined): SendResult | Promise<SendResult> {
  const { response } = client
  if (body !== undefined && typeof body !== 'string' && body.length <= oneWrite) {
    const bytes = body instanceof Buffer ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    const text = bytes.toString('latin1')
    writeSoon(() => {
      response.end(text, 'latin1')
      void taken(client)
    })
    return 'sent'
  }
  response.end(body)
  return taken(client)
}

/** `stream.pipeline` would do, but it tells neither side from the other and costs an AbortController a request. */
function stream(body: Readable, { response, idleTimeoutMs }: ClientSide): Promise<SendResult> {
  return new Promise((resolve) => {
    let isWatched = false
    const settle = (result: SendResult) => {
      body.off('data', onData).off('end', onEnd).off('close', onCut)
      response.off('drain', onDrain).off('close', onGone)
      resolve(result)
    }
    const onData = (chunk: Buffer) => {
      if (response.write(chunk)) return
      body.pause()
      if (!isWatched) whenStalled(response, idleTimeoutMs, onStalled)
      isWatched = true
    }
    const onDrain = () => body.resume()
    const onEnd = () => settle('sent')
    const onCut = () => {
      // The client's connection goes down with the answer: nothing forges an end.
      response.destroy()
      settle('cut')
    }
    const onGone = () => {
      body.destroy()
      settle('gone')
    }
    const onStalled = () => {
      settle('stalled')
      body.destroy()
      response.destroy()
    }
    if (body.destroyed) return onCut()
    response.on('drain', onDrain).on('close', onGone)
    // 'close' comes after 'end', or without one.
    body.on('end', onEnd).on('close', onCut).on('data', onData)
  })
}

/** The answer with trailers only where the client takes them: they need chunks, and `TE: trailers`. @see RFC 9110, section 6.5.1 */
function withWantedTrailers(answer: GatewayResponse, { httpVersion, rawHeaders }: IncomingMessage): GatewayResponse {
  if (!answer.trailers) return answer
  const isWanted = httpVersion === '1.1' && /(?:^|,)\s*trailers\s*(?:,|$)/i.test(headerOf(rawHeaders, 'te') ?? '')
  return isWanted ? answer : { ...answer, trailers: undefined }
}

function pairsOf(headers: HeaderList): [string, string][] {
  return headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1] ?? ''] as [string, string]] : []))
}

function writeHead(answer: GatewayResponse, { response, message }: ClientSide, close: boolean): GatewayResponse {
  const isBare = answer.status === 204 || answer.status === 304 || headerOf(answer.headers, 'content-length') !== undefined
  const own = [...(isBare ? [] : lengthOf(answer, message.method === 'HEAD')), ...(close ? ['connection', 'close'] : [])]
  try {
    // It takes the list as it is, and leaves it so.
    response.writeHead(answer.status, own.length === 0 ? (answer.headers as string[]) : [...answer.headers, ...own])
    return answer
  } catch {
    // Node refuses a status or a header with characters that do not belong there: not the client's fault, nor ours.
    dropAnswer(answer)
    const instead = problem({ status: 502, code: 'ERR_UPSTREAM_INVALID', detail: 'the answer of the service is not clean HTTP' })
    response.writeHead(instead.status, [...instead.headers, 'connection', 'close'])
    return instead
  }
}

/** Of an answer to HEAD without a body nobody knows how long it would be. */
function lengthOf({ body, trailers }: GatewayResponse, isHead: boolean): string[] {
  if (trailers) return []
  if (body instanceof Readable || (isHead && (body === undefined || body.length === 0))) return []
  return ['content-length', String(body === undefined ? 0 : Buffer.byteLength(body))]
}

async function takeRest({ message, response, body, isHoldingBody, world }: ClientSide, isClosing: boolean): Promise<void> {
  if (isHoldingBody()) return
  body.discard()
  // The connection stays and a little is to come: Node waits for it by itself before the next request.
  if (!isClosing) return
  const over = new AbortController()
  const end = () => over.abort()
  message.once('end', end)
  response.once('close', end)
  await sleep(world, message.complete ? 0 : lingerMs, over.signal).catch(() => {
    // Aborted: the rest came, or the client left. Either way there is nothing more to wait for.
  })
}
