// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// Declare a system
export { system } from './system.ts'
export type { Processes, SystemDefinition, SystemOptions } from './system.ts'

// Run it
export { startSystem } from './run-system.ts'
export type { ProcessReport, RunningSystem, StartSystemOptions } from './run-system.ts'
export { serviceDatabaseUrl } from './service-database.ts'
export type { LogStyle } from './log-lines.ts'
export type { Span } from './otlp.ts'

// What goes wrong
export { CliError } from './errors.ts'
export type { CliErrorCode } from './errors.ts'

// Run a gateway, and ask its admin port

export type { AdminPlace } from './admin-client.ts'
export { askAdmin } from './admin-client.ts'
export type { FleetProcess } from './fleet-place.ts'
export type { GatewayFleet } from './gateway-fleet.ts'
export type { GatewayPlan } from './process-plan.ts'
export type { RunGatewayOptions, RunningGateway } from './run-gateway.ts'
export { runGateway } from './run-gateway.ts'
