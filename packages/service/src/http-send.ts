import type { AbortListener } from '@banyan/resilience'
import type { Dispatcher } from 'undici'
import { NeverSentError } from './never-sent.ts'
import { endOf, type TransportRequest, type TransportResponse } from './transport.ts'

/**
 * Sends one request over HTTP/1.1 and reads its answer to the end. Stands right on undici's dispatcher: no stream is made of an
 * answer that is a text anyway.
 *
 * @throws {NeverSentError} when no connection took the request; the signal's reason when it aborts; undici's error for an answer
 *   that did not come, broke off or is too large
 */
export function sendHttp(dispatcher: Dispatcher, origin: string, request: TransportRequest): Promise<TransportResponse> {
  return new Promise((resolve, reject) => {
    const { method, path, headers, body = null } = request
    // The contract's methods are all among undici's.
    const options = { origin, path, method: method as Dispatcher.HttpMethod, headers, body }
    dispatcher.dispatch(options, new Exchange(request, resolve, reject))
  })
}

/** One request and what has come of it. */
class Exchange implements Dispatcher.DispatchHandler, AbortListener {
  readonly #request: TransportRequest
  readonly #resolve: (response: TransportResponse) => void
  readonly #reject: (error: unknown) => void
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #headers: Readonly<Record<string, string>> = {}
  #first: Buffer | undefined
  #more: Buffer[] | undefined

  constructor(request: TransportRequest, resolve: (response: TransportResponse) => void, reject: (error: unknown) => void) {
    this.#request = request
    this.#resolve = resolve
    this.#reject = reject
    if (request.cancellation) request.cancellation.listen(this)
    else request.signal.addEventListener('abort', this)
  }

  /** The caller is told at once, also where the request still waits for a connection. */
  onAbort(reason: unknown): void {
    this.#leave()
    this.#reject(reason)
    this.#controller?.abort(reasonOf(reason))
  }

  handleEvent(): void {
    this.onAbort(this.#request.signal.reason)
  }

  /** A connection takes the request; from here on the other side may have some of it. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    const end = endOf(this.#request)
    if (end.aborted) controller.abort(reasonOf(end.reason))
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    this.#status = status
    this.#headers = joined(headers)
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#first) this.#first = chunk
    else if (this.#more) this.#more.push(chunk)
    else this.#more = [this.#first, chunk]
  }

  onResponseEnd(): void {
    this.#leave()
    const bytes = this.#more ? Buffer.concat(this.#more) : this.#first
    this.#resolve({ status: this.#status, headers: this.#headers, body: bytes ? bytes.toString() : '' })
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#leave()
    this.#reject(this.#controller ? error : new NeverSentError(error))
  }

  #leave(): void {
    if (this.#request.cancellation) this.#request.cancellation.unlisten(this)
    else this.#request.signal.removeEventListener('abort', this)
  }
}

/** A signal may be aborted with anything; undici wants an error. */
function reasonOf(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('the call was cancelled', { cause: reason })
}

function joined(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const plain: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return plain
}
