import { type Duplex, Readable } from 'node:stream'
import type { Cancellation } from '@banyan/resilience'
import type { HeaderList } from './headers.ts'

/** One request to one endpoint. */
export interface UpstreamRequest {
  /** `http://127.0.0.1:3001`. */
  readonly origin: string
  readonly method: string
  /** With its query. */
  readonly path: string
  /** As sent, but for `Connection` and framing, which are the client's own. With a `host`, that one is sent. */
  readonly headers: HeaderList
  readonly body: Uint8Array | Readable | undefined
  /** The fields behind a body without a known length, once that has ended; sent in HTTP/1.1. Default: none. */
  readonly trailers?: (() => HeaderList) | undefined
  /** Ends the request until its answer's head has come; then destroy the body. */
  readonly cancellation: Cancellation
  /** The longest pause within the answer's body, milliseconds. */
  readonly idleTimeoutMs: number
  /** A WebSocket handshake. */
  readonly isUpgrade: boolean
  /** Told of 1xx answers, such as 103. Default: nobody is. */
  readonly onInterim?: ((status: number, headers: HeaderList) => void) | undefined
}

/** Interim answers to one request; an upstream that sends more never comes to its point. */
export const mostInterims = 16

/** The head of an answer and its body, which must be read to its end or dropped. */
export interface UpstreamAnswer {
  readonly status: number
  /** As they came, hop-by-hop ones too. */
  readonly headers: HeaderList
  /** Whole where it came with its head; a stream fails when the answer is cut short. */
  readonly body: Uint8Array | Readable | undefined
  /** The fields behind the body, once that has ended. Left out: there are none. */
  readonly trailers?: () => HeaderList
  /** The connection behind a 101. */
  readonly tunnel?: Duplex
}

/** What is spoken with an endpoint: HTTP/1.1, or HTTP/2 (by ALPN over TLS, with prior knowledge without). */
export type UpstreamProtocol = 'http1' | 'http2'

/** A client for each. */
export type UpstreamClients = Readonly<Record<UpstreamProtocol, UpstreamClient>>

/** Sends requests to endpoints. */
export interface UpstreamClient {
  /**
   * @throws {GatewayError} `ERR_UPSTREAM_UNREACHABLE` when no byte was sent, `ERR_UPSTREAM_FAILED` when the connection broke,
   *   `ERR_UPSTREAM_INVALID` for an answer that is not clean HTTP, `ERR_REQUEST_INVALID` for a request that cannot be written;
   *   the body's own error when it failed; what the cancellation was aborted with
   */
  send(request: UpstreamRequest): Promise<UpstreamAnswer>
  /** Cuts all connections. */
  close(): Promise<void>
}

/** Frees what an answer holds that nobody reads. */
export function dropAnswer({ body, tunnel }: { readonly body?: unknown; readonly tunnel?: Duplex | undefined }, reason?: Error): void {
  if (body instanceof Readable) body.destroy(reason)
  tunnel?.destroy()
}
