import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { sleep, type World } from '@banyan/core'
import type { GatewayResponse } from './exchange.ts'
import { headerOf } from './headers.ts'
import { problem } from './problem.ts'
import { type ClientBody, replayBytes } from './request-body.ts'

/** How an answer went out: whole, cut because the upstream cut it, or not at all as the client had gone. */
export type SendResult = 'sent' | 'cut' | 'gone'

/** The client's side of an exchange. */
export interface ClientSide {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  readonly body: ClientBody
  /** The client waits for a `100 Continue` that it was not given, so its body never comes. */
  readonly isHoldingBody: () => boolean
  /** The gateway stops: ask the client to connect anew. */
  readonly isDraining: () => boolean
  readonly world: World
}

/** A client that still sends its body is read on for this long after the answer, or it might lose the answer to a reset. */
const lingerMs = 2_000

/**
 * Sends an answer to the client, no faster than the client takes it. An answer that the upstream cuts short cuts the client's
 * connection: it never looks whole.
 */
export async function sendResponse(answer: GatewayResponse, client: ClientSide): Promise<SendResult> {
  const { response, message } = client
  if (response.destroyed) {
    dropBody(answer)
    return 'gone'
  }
  const isUnfinished = !message.complete && client.body.length !== 0
  const isClosing = isUnfinished && (client.isHoldingBody() || client.body.length === undefined || client.body.length > replayBytes)
  const sendable = writeHead(answer, response, isClosing || client.isDraining())
  const { body } = sendable
  if (body instanceof Readable) {
    const result = await stream(body, response)
    if (result !== 'sent') return result
  } else if (body !== undefined && message.method !== 'HEAD') {
    response.write(body)
  }
  if (!client.body.isComplete) await takeRest(client, isClosing)
  response.end()
  return 'sent'
}

/** `stream.pipeline` would do, but it tells neither side from the other and costs an AbortController a request. */
function stream(body: Readable, response: ServerResponse): Promise<SendResult> {
  return new Promise((resolve) => {
    const settle = (result: SendResult) => {
      body.off('data', onData).off('end', onEnd).off('close', onCut)
      response.off('drain', onDrain).off('close', onGone)
      resolve(result)
    }
    const onData = (chunk: Buffer) => {
      if (!response.write(chunk)) body.pause()
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
    if (body.destroyed) return onCut()
    response.on('drain', onDrain).on('close', onGone)
    // 'close' comes after 'end', or without one.
    body.on('end', onEnd).on('close', onCut).on('data', onData)
  })
}

/** Frees what an answer holds that is not sent. */
export function dropBody({ body, tunnel }: GatewayResponse): void {
  if (body instanceof Readable) body.destroy()
  tunnel?.destroy()
}

function writeHead(answer: GatewayResponse, response: ServerResponse, close: boolean): GatewayResponse {
  const { body } = answer
  const length = typeof body === 'string' || body instanceof Uint8Array ? ['content-length', String(Buffer.byteLength(body))] : []
  const own = headerOf(answer.headers, 'content-length') === undefined && answer.status !== 204 && answer.status !== 304 ? length : []
  const headers = [...answer.headers, ...own, ...(close ? ['connection', 'close'] : [])]
  try {
    response.writeHead(answer.status, headers)
    return answer
  } catch {
    // Node refuses a status or a header with characters that do not belong there: not the client's fault, nor ours.
    dropBody(answer)
    const instead = problem({ status: 502, code: 'ERR_UPSTREAM_INVALID', detail: 'the answer of the service is not clean HTTP' })
    response.writeHead(instead.status, [...instead.headers, 'connection', 'close'])
    return instead
  }
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
