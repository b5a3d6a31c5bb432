import { type Issue, messageOf, type World } from '@banyan/core'
import { ServiceError, type TransportRequest, type TransportResponse } from '@banyan/service/internal'
import { type ServiceError as GrpcFailure, status } from '@grpc/grpc-js'
import type { Channels } from './channels.ts'
import { decodeMessage } from './decode.ts'
import { encodeMessage } from './encode.ts'
import { problemOfStatus } from './grpc-status.ts'
import { addressOf, type Picked } from './grpc-target.ts'
import { metadataOf } from './metadata.ts'
import type { ProtoField, ProtoMessage, ProtoMethod } from './proto-model.ts'
import { DETAILS_KEY } from './rpc-status.ts'
import { WireError } from './wire-reader.ts'

/**
 * The message of a request.
 *
 * @throws {ServiceError} `ERR_REQUEST_INVALID` with each place that does not fit the message
 */
export function requestBytes(
  { request, operation, operationName }: ProtoMethod,
  params: Readonly<Record<string, string>>,
  { path, body }: TransportRequest,
): Uint8Array {
  const query = request.fields.find(({ jsonName }) => operation.query && jsonName === 'query')?.type
  const json = {
    ...params,
    ...(query && { query: query.kind === 'message' ? readQuery(query.message, path) : Object.fromEntries(searchOf(path)) }),
    ...(operation.body && body !== undefined && { body: JSON.parse(body) as unknown }),
  }
  const encoded = encodeMessage(request, json)
  if (encoded.ok) return encoded.bytes
  throw invalid(operationName, encoded.issues)
}

export interface GrpcCall {
  readonly method: ProtoMethod
  readonly bytes: Uint8Array
  readonly picked: Picked
  readonly connections: Channels
  readonly world: World
}

/** The most that a deadline of gRPC may be away: a server that is grpc-js takes what is beyond 2^31 ms for a time that has passed. */
const MAX_TIMEOUT_MS = 24 * 86_400_000

/**
 * Sends one call to one instance.
 *
 * @throws {ServiceError} `ERR_SERVICE_UNAVAILABLE` when no answer came, `ERR_RESPONSE_INVALID`; the signal's reason when it aborts
 */
export function sendCall(call: GrpcCall, { headers, signal, timeoutMs }: TransportRequest): Promise<TransportResponse> {
  const { method, bytes, picked, connections, world } = call
  const same = (buffer: Buffer) => buffer
  return new Promise((resolve, reject) => {
    const deadline = timeoutMs === undefined ? Number.POSITIVE_INFINITY : world.now() + Math.min(timeoutMs, MAX_TIMEOUT_MS)
    const done = (error: GrpcFailure | null, answer?: Buffer) => {
      signal.removeEventListener('abort', cancel)
      channel.done()
      try {
        if (signal.aborted) throw signal.reason
        resolve(error ? failed(call, error) : answered(method, answer ?? Buffer.alloc(0)))
      } catch (thrown) {
        reject(thrown)
      }
    }
    const channel = connections.use(addressOf(picked.instance))
    const running = channel.client.makeUnaryRequest(method.path, same, same, Buffer.from(bytes), metadataOf(headers), { deadline }, done)
    const cancel = () => running.cancel()
    signal.addEventListener('abort', cancel, { once: true })
  })
}

function answered({ response, operation, operationName, answer }: ProtoMethod, bytes: Uint8Array): TransportResponse {
  const { status: good = operation.response ? 200 : 204 } = operation
  if (answer === 'none') return { status: good, headers: {}, body: '' }
  try {
    const json = decodeMessage(response, bytes)
    const value = answer === 'in-field' ? json[response.fields[0]?.jsonName ?? ''] : json
    return { status: good, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) ?? '' }
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause
    const message = `the answer of ${operationName} is no message of type ${response.name}: ${messageOf(cause)}`
    throw new ServiceError('ERR_RESPONSE_INVALID', message, { status: 502, cause })
  }
}

/** A status that a server sent is an answer; one that grpc-js made, because no answer came, is an error. */
function failed({ method, picked }: GrpcCall, error: GrpcFailure): TransportResponse {
  const isLost = error.code === status.UNAVAILABLE || (error.code === status.CANCELLED && error.details === CUT_OFF)
  if (!isLost || error.metadata.get(DETAILS_KEY).length > 0) return problemOfStatus(error)
  const { host, port, service } = picked.instance
  const why = /\bE[A-Z_]{4,}\b/.exec(error.details)?.[0] ?? error.details
  const neverSent = NEVER_SENT.some((start) => error.details.startsWith(start))
  // The code by which policies know that nothing was done, so that the call may go to another instance whatever it does.
  const cause = Object.assign(new Error(error.details), neverSent && { code: 'ECONNREFUSED' })
  const detail = `no answer from "${service}"`
  const message = `${detail} at ${host}:${port} over gRPC to ${method.operationName}: ${why}`
  throw new ServiceError('ERR_SERVICE_UNAVAILABLE', message, { status: 503, detail, cause })
}

/** What grpc-js says when the other side, which stops, has cut the call off: the caller's own cancelling never comes here. */
const CUT_OFF = 'Call cancelled'

/** What grpc-js says when nothing was sent, or a server refused a stream unread: as one does that stops (RFC 9113, 8.7). */
const NEVER_SENT = ['No connection established', 'Name resolution failed', 'Stream refused by server', 'Channel closed before call started']

function invalid(operationName: string, issues: readonly Issue[]): ServiceError {
  const fields = issues.map(({ path, message }) => `${path} ${message}`).join('; ')
  return new ServiceError('ERR_REQUEST_INVALID', `cannot call ${operationName}: ${fields}`, { status: 422, issues })
}

/** A query is texts; its message has the types that they are read as. */
function readQuery(message: ProtoMessage, path: string): Record<string, unknown> {
  const search = searchOf(path)
  const read = (field: ProtoField) => {
    const values = search.getAll(field.jsonName).map((text) => typedText(field, text))
    if (values.length === 0) return []
    return [[field.jsonName, field.label === 'list' || values.length > 1 ? values : values[0]] as const]
  }
  return Object.fromEntries(message.fields.flatMap(read))
}

function typedText({ type: { kind } }: ProtoField, text: string): unknown {
  if (kind === 'int64' || kind === 'double') return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text)
  return kind === 'bool' && (text === 'true' || text === 'false') ? text === 'true' : text
}

function searchOf(path: string): URLSearchParams {
  const start = path.indexOf('?')
  return new URLSearchParams(start < 0 ? '' : path.slice(start))
}
