import { CodedError, shown } from '@banyan/core'

/** The codes of {@link DiscoveryError}. */
export type DiscoveryErrorCode =
  | 'ERR_PORT_TAKEN'
  | 'ERR_CANNOT_LISTEN'
  | 'ERR_STATE_FILE'
  | 'ERR_REGISTRY_UNAVAILABLE'
  | 'ERR_REGISTRY_REFUSED'
  | 'ERR_BAD_REQUEST'
  | 'ERR_FORBIDDEN'
  | 'ERR_NOT_FOUND'
  | 'ERR_NOT_SUPPORTED'
  | 'ERR_TOKEN_FILE'
  | 'ERR_TOKEN_NEEDED'

/** Something between a name and a healthy endpoint did not work. */
export class DiscoveryError extends CodedError<DiscoveryErrorCode> {}

/** @throws {RangeError} unless `value` is a number from `from` to `to` */
export function assertRange(action: string, option: string, value: number, from: number, to: number): void {
  if (!(value >= from && value <= to)) throw new RangeError(`cannot ${action}: "${option}" is ${shown(value)}, wanted ${from} to ${to}`)
}
