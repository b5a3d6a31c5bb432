// Run a gateway

export type { Gateway, GatewayOptions, Listening, SharedRateLimits } from './gateway.ts'
export { gateway } from './gateway.ts'
export type { ListeningSocket } from './listening-socket.ts'

// Write its configuration

export { checkPluginFiles } from './check-plugin-files.ts'
export type { BreakerConfig, GatewayConfig, OutlierConfig, PartConfig, RouteConfig, ServiceConfig, TlsConfig } from './config.ts'
export type { ConfigOptions } from './config-file.ts'
export { defineGateway, parseGatewayFile } from './config-file.ts'
export { configJsonSchema } from './config-json-schema.ts'
export type { Environment } from './environment.ts'
export type { CompressionConfig } from './plugins/compression.ts'
export type { CorsConfig } from './plugins/cors.ts'
export type { IpRestrictionConfig, IpRestrictionProblemCode } from './plugins/ip-restriction.ts'
export type { JwtConfig, JwtProblemCode } from './plugins/jwt.ts'
export type { KeyAuthConfig, KeyAuthProblemCode, KeyConfig } from './plugins/key-auth.ts'
export type { MtlsAuthConfig, MtlsProblemCode } from './plugins/mtls-auth.ts'
export type { RateLimitingConfig } from './plugins/rate-limiting.ts'
export type { PluginConfig, PluginConfigs } from './plugins/table.ts'
export type { HeaderChanges, TransformerConfig } from './plugins/transformers.ts'

// Write a plugin

export type { ClientCertificate } from './client-certificate.ts'
export type { Field, MapShape, Rule, Shape } from './config-shape.ts'
export { integer, list, oneOf, text } from './config-shape.ts'
export type { GatewayRequest, GatewayResponse, Handler, Interceptor } from './exchange.ts'
export type { HeaderList } from './headers.ts'
export { headerOf, headerValues, withHeader, withoutHeaders } from './headers.ts'
export type { Fetched, FetchOptions, Plugin, PluginContext } from './plugins/plugin.ts'
export type { PluginTable } from './plugins/table.ts'
export type { ProblemOptions } from './problem.ts'
export { problem } from './problem.ts'
export type { RequestBody } from './request-body.ts'

// What goes wrong

export type { ConfigIssue, GatewayErrorCode, Position } from './errors.ts'
export { GatewayConfigError, GatewayError } from './errors.ts'

// Run it: the admin port, changes and their history

export type { AdminSubject, GatewayStatus } from './admin-routes.ts'
export type { ConfigDiff, KeyChange } from './config-diff.ts'
export { describeDiff, diffConfigs, isEmptyDiff } from './config-diff.ts'
export type { HistoryEntry } from './config-history.ts'
export type { Control, ControlOptions } from './control.ts'
export { control } from './control.ts'
export type { ManagedFile, ManagedFileOptions } from './managed-file.ts'
export { managedFile } from './managed-file.ts'
