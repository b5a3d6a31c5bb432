// For adapters and tests of Banyan itself: what they implement and what they stand on. Not for applications.

// What a component of a service is given

export type { Endpoint } from './endpoint.ts'
export { OPERATION_TIMEOUT_MS } from './endpoint.ts'
export type { HttpContext } from './http-server.ts'
export { readBody } from './read-body.ts'
export type { ServiceContext } from './service-context.ts'

// A call that came over another protocol

export type { CallInput } from './client-request.ts'
export { timeoutOf } from './request-scope.ts'
export type { ServedCallOptions } from './served-call.ts'
export { servedCall } from './served-call.ts'
export type { Field, IntegerShape, ListShape, MapShape, ObjectShape, Shape, Slot, TextShape } from './shape.ts'
export { queryShapeOf, shapeOf } from './shape.ts'

// A transport over another protocol

export type { Upstream } from '@banyan/discovery'
export { upstream } from '@banyan/discovery'
export { isTimeout, wasNeverSent } from '@banyan/resilience'
export { portMeta, protocolRegistry } from './protocol-registry.ts'
export type { Match, RouteTable } from './route-table.ts'
export { routeTable } from './route-table.ts'
export type { Transport, TransportRequest, TransportResponse, UniversalHandler } from './transport.ts'
export { KEY_HEADER, TIMEOUT_HEADER } from './transport.ts'

// What goes wrong

export type { ServiceErrorCode } from './errors.ts'
export { ServiceError } from './errors.ts'
export type { Problem, ProblemOptions } from './problem.ts'
export { PROBLEM_TYPE, problemResponse, readProblem, retryAfterMs } from './problem.ts'
export { problemOf } from './problem-of.ts'
