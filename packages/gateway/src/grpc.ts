import type { GatewayResponse } from './exchange.ts'
import { type HeaderList, headerOf } from './headers.ts'
import { detailOf } from './problem.ts'
import { dropAnswer } from './upstream-client.ts'

/** Whether headers are those of a call, or an answer, of gRPC. */
export function isGrpc(headers: HeaderList): boolean {
  const type = headerOf(headers, 'content-type')
  return type?.startsWith('application/grpc') === true && (type.length === 16 || '+;'.includes(type.charAt(16)))
}

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 }

/** How long a call may take as its `grpc-timeout` says, milliseconds; `undefined` when it does not say so. */
export function grpcTimeoutMs(headers: HeaderList): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(headerOf(headers, 'grpc-timeout') ?? '')
  return match ? Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0) : undefined
}

/** A time as a `grpc-timeout`, which has at most eight digits. */
export function grpcTimeout(ms: number): string {
  const whole = Math.max(1, Math.floor(ms))
  return whole < 100_000_000 ? `${whole}m` : `${Math.floor(whole / 1_000)}S`
}

const UNAVAILABLE = '14'

/** Whether a service of gRPC says that it cannot serve now: in a head without a body, before it did anything. */
export function isGrpcUnavailable(headers: HeaderList): boolean {
  return headerOf(headers, 'grpc-status') === UNAVAILABLE
}

/** What a status of HTTP is in gRPC, when it is the gateway that answers. From google/rpc/code.proto. */
const CODES: Readonly<Record<number, number>> = {
  400: 3,
  401: 16,
  403: 7,
  404: 12,
  405: 12,
  408: 4,
  409: 10,
  413: 8,
  415: 3,
  422: 3,
  429: 8,
  499: 1,
  500: 13,
  501: 12,
  502: 14,
  503: 14,
  504: 4,
}
const UNKNOWN = 2

/**
 * An answer of the gateway itself as a client of gRPC reads it: a head that has `grpc-status` and `grpc-message`. Answers of gRPC stay.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Trailers-Only"
 */
export function grpcAnswer(answer: GatewayResponse): GatewayResponse {
  const { status, headers, body } = answer
  if (isGrpc(headers) || headerOf(headers, 'grpc-status') !== undefined) return answer
  const kept = ['x-request-id', 'retry-after', 'www-authenticate'].flatMap((name) => {
    const value = headerOf(headers, name)
    return value === undefined ? [] : [name, value]
  })
  dropAnswer(answer)
  const message = detailOf(body) ?? `the answer has the status ${status} of HTTP`
  const own = ['content-type', 'application/grpc', 'grpc-status', String(CODES[status] ?? UNKNOWN), 'grpc-message', percentEncoded(message)]
  return { ...answer, status: 200, headers: [...own, ...kept], body: undefined, trailers: undefined }
}

/** Printable ASCII but `%` stays; all else is said byte by byte. */
function percentEncoded(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`,
    )
    .join('')
}
