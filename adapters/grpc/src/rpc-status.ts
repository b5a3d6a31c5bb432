import protobuf from 'protobufjs'

/** What travels in the trailer `grpc-status-details-bin`, as far as Banyan writes and reads it. */
export interface RpcDetails {
  /** google.rpc.ErrorInfo: a code, whose it is, and texts beside it. */
  readonly info?: { readonly reason: string; readonly domain: string; readonly metadata: Readonly<Record<string, string>> }
  /** google.rpc.BadRequest. */
  readonly violations?: readonly { readonly field: string; readonly description: string }[]
  /** google.rpc.RetryInfo. */
  readonly retryAfterMs?: number
  /** google.rpc.RequestInfo. */
  readonly requestId?: string
}

/** The trailer that carries a google.rpc.Status. */
export const DETAILS_KEY = 'grpc-status-details-bin'

// From googleapis' google/rpc/status.proto and error_details.proto; the parts that are used.
const root = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message FieldViolation { string field = 1; string description = 2; }
  message BadRequest { repeated FieldViolation field_violations = 1; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message RequestInfo { string request_id = 1; }
`).root

const type = (name: string) => root.lookupType(`google.rpc.${name}`)
const STATUS = type('Status')
const DETAIL_TYPES = {
  ErrorInfo: type('ErrorInfo'),
  BadRequest: type('BadRequest'),
  RetryInfo: type('RetryInfo'),
  RequestInfo: type('RequestInfo'),
}
type DetailName = keyof typeof DETAIL_TYPES

/**
 * Writes a google.rpc.Status.
 *
 * @see https://google.aip.dev/193
 */
export function encodeRpcStatus(code: number, message: string, details: RpcDetails): Uint8Array {
  const { info, violations = [], retryAfterMs, requestId } = details
  const parts = [
    ...(info ? [packed('ErrorInfo', info)] : []),
    ...(violations.length > 0 ? [packed('BadRequest', { fieldViolations: violations })] : []),
    ...(retryAfterMs === undefined ? [] : [packed('RetryInfo', { retryDelay: duration(retryAfterMs) })]),
    ...(requestId === undefined ? [] : [packed('RequestInfo', { requestId })]),
  ]
  return STATUS.encode({ code, message, details: parts }).finish()
}

/** Reads a google.rpc.Status, whoever wrote it; `undefined` when it is none. Details of other kinds are passed over. */
export function decodeRpcStatus(bytes: Uint8Array): RpcDetails | undefined {
  try {
    const status = STATUS.toObject(STATUS.decode(bytes), { arrays: true })
    return Object.assign({}, ...status.details.map(unpacked))
  } catch {
    // Another program's bytes: what the status itself says is still known.
    return undefined
  }
}

function packed(name: DetailName, value: object) {
  return { typeUrl: `type.googleapis.com/google.rpc.${name}`, value: DETAIL_TYPES[name].encode(value).finish() }
}

function unpacked({ typeUrl, value }: { typeUrl?: string; value?: Uint8Array }): RpcDetails {
  const name = typeUrl?.split('google.rpc.')[1] ?? ''
  if (!Object.hasOwn(DETAIL_TYPES, name)) return {}
  const detail = DETAIL_TYPES[name as DetailName]
  const read = detail.toObject(detail.decode(value ?? new Uint8Array()), { defaults: true, longs: Number })
  switch (name as DetailName) {
    case 'ErrorInfo':
      return { info: { reason: read.reason, domain: read.domain, metadata: read.metadata } }
    case 'BadRequest':
      return { violations: read.fieldViolations }
    case 'RetryInfo':
      return { retryAfterMs: (read.retryDelay?.seconds ?? 0) * 1_000 + Math.round((read.retryDelay?.nanos ?? 0) / 1e6) }
    case 'RequestInfo':
      return { requestId: read.requestId }
  }
}

function duration(ms: number) {
  return { seconds: Math.floor(ms / 1_000), nanos: Math.round((ms % 1_000) * 1e6) }
}
