// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// Answer a contract over gRPC
export { grpc } from './grpc.ts'
export type { GrpcOptions } from './grpc.ts'

// Call a contract over gRPC
export { grpcTransport } from './grpc-transport.ts'
export type { GrpcTransportOptions } from './grpc-transport.ts'

// The .proto of a contract
export { protoText, writeProto } from './proto-text.ts'
export type { GrpcContract } from './proto-text.ts'

// What goes wrong
export { GrpcError } from './errors.ts'
export type { GrpcErrorCode } from './errors.ts'
