import type { Duplex, Readable } from 'node:stream'
import type { Cancellation } from '@banyan/resilience'
import type { ClientCertificate } from './client-certificate.ts'
import type { HeaderList } from './headers.ts'
import type { RequestBody } from './request-body.ts'

/** A request on its way through the plugins to a service. Never changed: a plugin hands a changed copy to `next`. */
export interface GatewayRequest {
  /** The `X-Request-Id`: the client's if it is well-formed, else a new one. */
  readonly id: string
  readonly method: string
  /** Lower case, without port. */
  readonly host: string
  /** Normalised; what was matched and what is forwarded. */
  readonly path: string
  /** With its `?`, as sent; empty without one. */
  readonly query: string
  /** What the `{name}`s of the route's path stand for, escaped as in the path. */
  readonly params: Readonly<Record<string, string>>
  /** What the service gets, in the order it came: end-to-end headers, cleaned of what a client may not claim. */
  readonly headers: HeaderList
  readonly clientIp: string
  /** Of a client that showed one, where `tls` asks for them; verified. */
  readonly clientCertificate?: ClientCertificate | undefined
  /** Who calls, as an authenticating plugin found out. */
  readonly subject: string | undefined
  readonly body: RequestBody
  /** Aborted when the client is gone; `cancellation.signal` is an `AbortSignal` of it. */
  readonly cancellation: Cancellation
  /** A WebSocket handshake. */
  readonly isUpgrade: boolean
  /** Hands a 103 on to the client. Left out: it would not know what to do with one. */
  readonly onEarlyHints?: ((headers: HeaderList) => void) | undefined
}

/** An answer on its way back to the client. Never changed: a plugin gives back a changed copy. */
export interface GatewayResponse {
  readonly status: number
  readonly headers: HeaderList
  /** A stream is sent as it comes; whoever drops an answer with a stream destroys the stream. */
  readonly body?: string | Uint8Array | Readable | undefined
  /** The fields behind a body, once that has ended; for clients that know what to do with them. Default: none. */
  readonly trailers?: (() => HeaderList) | undefined
  /** Who answered, for the log: `orders@127.0.0.1:3001`. */
  readonly upstream?: string
  /** How long it took to begin its answer, over all tries, milliseconds. */
  readonly upstreamMs?: number | undefined
  /** The connection behind a 101. */
  readonly tunnel?: Duplex
}

/** Answers a request. Throws a `CodedError` with a status for a problem. */
export type Handler = (request: GatewayRequest) => Promise<GatewayResponse>

/** What a plugin puts around the rest of the way: `next => request => response`. */
export type Interceptor = (next: Handler) => Handler
