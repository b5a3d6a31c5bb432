// Traces and metrics of a process

export type { Environment } from './environment.ts'
export type { TelemetryErrorCode } from './errors.ts'
export { TelemetryError } from './errors.ts'
export type { Telemetry, TelemetryOptions } from './telemetry.ts'
export { startTelemetry } from './telemetry.ts'
