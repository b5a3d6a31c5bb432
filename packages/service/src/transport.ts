import type { Cancellation } from '@banyan/resilience'

/** A request on its way from a client to a service; the same over HTTP and inside one process. */
export interface TransportRequest {
  /** The service that is to answer, as discovery knows it. */
  readonly service: string
  readonly method: string
  /** Path and query, encoded: `/orders/42?full=true`. */
  readonly path: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Other calls have the same object as `headers`, and nobody changes it: what is made of it may be kept. Default false. */
  readonly sharesHeaders?: boolean
  /** JSON text. */
  readonly body: string | undefined
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
  /** The same, for transports that make many calls a second: where it is there, `signal` is only made when read. */
  readonly cancellation?: Cancellation | undefined
  /** How long the answer is waited for, milliseconds. Default: no bound but `signal`. */
  readonly timeoutMs?: number
  /** The instances that earlier attempts of this call went to; a transport adds the one it takes and prefers others. */
  readonly tried?: Set<string>
}

/** Whether nobody waits for the answer any more, and why; makes no signal where there is a cheaper way to know. */
export function endOf(request: Pick<TransportRequest, 'cancellation' | 'signal'>): Pick<Cancellation, 'aborted' | 'reason'> {
  return request.cancellation ?? request.signal
}

/** The answer to a {@link TransportRequest}, whatever its status. */
export interface TransportResponse {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Text; empty for no content. */
  readonly body: string
}

/** The way from a client to a service: {@link httpTransport} or {@link inProcessTransport}. */
export interface Transport {
  /**
   * Sends one request, once.
   *
   * @throws {ServiceError} `ERR_SERVICE_UNAVAILABLE` when no answer came; the signal's reason when it aborts
   */
  call(request: TransportRequest): Promise<TransportResponse>
  /** Lets go of connections and watches. */
  close(): Promise<void>
}

/** The server's side: answers every request, with a problem if need be; at once where the operation's handler does. Never rejects nor throws. */
export type UniversalHandler = (request: TransportRequest) => TransportResponse | Promise<TransportResponse>

/** The remaining milliseconds of the caller's deadline travel in this header. */
export const TIMEOUT_HEADER = 'x-timeout-ms'

/** The most that header may say: twelve digits, 31 years. */
export const MAX_TIMEOUT_HEADER = 999_999_999_999

/** Makes a call safe to repeat. */
export const KEY_HEADER = 'idempotency-key'

/** What that header may say. A key is opaque; its length is bounded because it is stored. */
export const KEY: RegExp = /^[\x21-\x7e]{1,255}$/
