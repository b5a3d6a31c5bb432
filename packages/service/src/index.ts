// Make a service and run it

export type { HealthReport } from './health.ts'
export type { Host, HostedServiceOptions, ServiceModule } from './host.ts'
export type { Phase } from './lifecycle.ts'
export type { RunningService, Service, ServiceOptions } from './service.ts'
export { service } from './service.ts'
export type { ServiceContext } from './service-context.ts'
export type { RunUntilSignalOptions } from './signals.ts'
export { runUntilSignal } from './signals.ts'

// Answer a contract

export type { Endpoint, Served } from './endpoint.ts'
export type { HttpApp } from './http-server.ts'
export type { PlainRequest } from './read-request.ts'
export type { Handler, HandlerContext, Handlers } from './serve.ts'
export { routes, serve } from './serve.ts'

// Call a contract

export type { CallOptions, Client, ClientMethod, ClientOptions } from './client.ts'
export { client } from './client.ts'
export type { DefaultPolicyOptions } from './client-defaults.ts'
export { defaultPolicy } from './client-defaults.ts'
export type { RequestScope } from './request-scope.ts'
export { currentRequest, runOutOfScope } from './request-scope.ts'

// The way between them

export type { FramedOptions } from './framed-server.ts'
export { framed } from './framed-server.ts'
export type { FramedTransportOptions } from './framed-transport.ts'
export { framedTransport } from './framed-transport.ts'
export type { HttpTransportOptions } from './http-transport.ts'
export { httpTransport } from './http-transport.ts'
export type { InProcessOptions, InProcessTransport } from './in-process.ts'
export { inProcessTransport } from './in-process.ts'
export type { Transport, TransportRequest, TransportResponse, UniversalHandler } from './transport.ts'

// What goes wrong

export type { ServiceErrorCode, ServiceErrorOptions } from './errors.ts'
export { ServiceError } from './errors.ts'
export type { Problem, ProblemOptions } from './problem.ts'
export { problemResponse, readProblem } from './problem.ts'
export { problemOf } from './problem-of.ts'

// Logs

export type { LoggerOptions, LogLevel } from './logger.ts'
export { createLogger, logLevelOf } from './logger.ts'
