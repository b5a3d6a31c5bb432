import { CodedError } from '@banyan/core'

/** The codes of {@link GrpcError}. */
export type GrpcErrorCode =
  | 'ERR_GRPC_CONTRACT'
  | 'ERR_GRPC_LISTEN_FAILED'
  // A .proto that is committed
  | 'ERR_PROTO_MISSING'
  | 'ERR_PROTO_INVALID'
  | 'ERR_PROTO_STALE'

/** A contract cannot be served or called over gRPC. */
export class GrpcError extends CodedError<GrpcErrorCode> {}

/** The error of a contract that gRPC has no way to serve. */
export function contractError(api: string, what: string): GrpcError {
  return new GrpcError('ERR_GRPC_CONTRACT', `cannot make a .proto of the contract "${api}": ${what}`)
}
