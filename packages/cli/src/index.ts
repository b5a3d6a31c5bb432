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
