import type { Logger } from '@banyan/core'
import { problemOf, problemResponse, type ServiceContext, ServiceError, servedCall, type TransportResponse } from '@banyan/service/internal'
import type { ServerUnaryCall, ServiceDefinition, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js'
import { decodeMessage } from './decode.ts'
import { encodeMessage } from './encode.ts'
import { statusOfProblem } from './grpc-status.ts'
import { headersOf } from './metadata.ts'
import type { ProtoFile, ProtoMethod } from './proto-model.ts'
import { WireError } from './wire-reader.ts'

type BytesCall = ServerUnaryCall<Buffer, Buffer>

/** What grpc-js needs to answer a contract by a service's endpoint: bytes in, bytes out, so that what cannot be read is ours to say. */
export function contractService(
  file: ProtoFile,
  context: ServiceContext,
): { definition: ServiceDefinition; implementation: UntypedServiceImplementation } {
  const definitions = file.methods.map(({ name, path }) => {
    const same = (bytes: Buffer) => bytes
    const codec = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same }
    return [name, { path, requestStream: false, responseStream: false, ...codec }] as const
  })
  const handlers = file.methods.map((method) => {
    const handle = (call: BytesCall, done: sendUnaryData<Buffer>) => {
      answer(method, call, context).then(
        (result) => ('status' in result ? done(statusOfProblem(result, file.api.name)) : done(null, result)),
        // `answer` turns whatever goes wrong into a problem.
        (error: unknown) => done(statusOfProblem(problemResponse(problemOf(error)), file.api.name)),
      )
    }
    return [method.name, handle] as const
  })
  return { definition: Object.fromEntries(definitions), implementation: Object.fromEntries(handlers) }
}

async function answer(method: ProtoMethod, call: BytesCall, context: ServiceContext): Promise<Buffer | TransportResponse> {
  const { operation, operationName, request } = method
  try {
    const json = readRequest(request, call.request)
    const remainingMs = Number(call.getDeadline()) - context.world.now()
    const response = await context.endpoint.over('grpc')(
      servedCall({
        ...{ service: context.service, name: operationName, operation, headers: headersOf(call.metadata), signal: () => signalOf(call) },
        // The parameters of the path are taken by their names, and are texts in the message.
        input: {
          params: json as Record<string, string>,
          ...(operation.query && { query: json.query }),
          ...(operation.body && { body: json.body }),
        },
        ...(Number.isFinite(remainingMs) && { timeoutMs: remainingMs }),
      }),
    )
    return response.status >= 400 ? response : writeResponse(method, response, context.log)
  } catch (error) {
    return problemResponse(problemOf(error))
  }
}

function readRequest(message: ProtoMethod['request'], bytes: Uint8Array): Record<string, unknown> {
  try {
    return decodeMessage(message, bytes)
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause
    throw new ServiceError('ERR_REQUEST_INVALID', `the request is no message of type ${message.name}: ${cause.message}`, {
      status: 400,
      cause,
    })
  }
}

function writeResponse(
  { response, answer: way, operationName }: ProtoMethod,
  { body }: TransportResponse,
  log: Logger,
): Buffer | TransportResponse {
  const value: unknown = body === '' ? undefined : JSON.parse(body)
  const only = response.fields[0]?.jsonName ?? ''
  const encoded = encodeMessage(response, way === 'none' ? {} : way === 'in-field' ? { [only]: value } : value)
  if (encoded.ok) return Buffer.from(encoded.bytes)
  // The schema let it through but told something else of itself: the contract's fault, not the caller's.
  log.error({ issues: encoded.issues }, `the answer of "${operationName}" is no message of type ${response.name}`)
  return problemResponse(problemOf(undefined))
}

function signalOf(call: BytesCall): AbortSignal {
  const controller = new AbortController()
  const gone = () => controller.abort(new DOMException('the caller has gone', 'AbortError'))
  if (call.cancelled) gone()
  else call.once('cancelled', gone)
  return controller.signal
}
