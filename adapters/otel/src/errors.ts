import { CodedError } from '@banyan/core'

/** The codes of {@link TelemetryError}. */
export type TelemetryErrorCode = 'ERR_TELEMETRY_RUNNING'

/** Telemetry could not be set up. */
export class TelemetryError extends CodedError<TelemetryErrorCode> {}
