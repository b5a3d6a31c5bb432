import { CodedError, type CodedErrorOptions } from '@banyan/core'

/** The codes of {@link GatewayError}; the same codes stand in the problems that clients get. */
export type GatewayErrorCode =
  | 'ERR_CONFIG_INVALID'
  | 'ERR_FILE_UNREADABLE'
  | 'ERR_PORT_TAKEN'
  | 'ERR_ALREADY_STARTED'
  | 'ERR_NOT_STARTED'
  | 'ERR_REQUEST_INVALID'
  | 'ERR_ROUTE_UNKNOWN'
  | 'ERR_METHOD_NOT_ALLOWED'
  | 'ERR_UPGRADE_REFUSED'
  | 'ERR_LOOP'
  | 'ERR_BODY_TOO_LARGE'
  | 'ERR_BODY_CUT'
  | 'ERR_CLIENT_GONE'
  | 'ERR_NO_INSTANCE'
  | 'ERR_UPSTREAM_UNREACHABLE'
  | 'ERR_UPSTREAM_FAILED'
  | 'ERR_UPSTREAM_INVALID'
  | 'ERR_UPSTREAM_TIMEOUT'
  | 'ERR_PART_FAILED'
  | 'ERR_JWKS_UNAVAILABLE'
  | 'ERR_HISTORY_UNKNOWN'
  | 'ERR_FILE_UNWRITABLE'
  | 'ERR_ADMIN_REFUSED'

/** What goes wrong in a gateway. Those with a `status` become that problem; others become 500 and are logged. */
export class GatewayError extends CodedError<GatewayErrorCode> {}

/** Where something stands in a file; both count from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** One thing that is wrong with a configuration. */
export interface ConfigIssue {
  /** Left out for a configuration that is no file. */
  readonly at?: Position
  readonly message: string
}

/** A configuration that cannot be used. The message has one line for each issue: `gateway.yaml:7:5: unknown key ...`. */
export class GatewayConfigError extends GatewayError {
  readonly issues: readonly ConfigIssue[]

  constructor(source: string, issues: readonly ConfigIssue[], options: CodedErrorOptions = {}) {
    super('ERR_CONFIG_INVALID', issues.map((issue) => lineOf(source, issue)).join('\n'), options)
    this.issues = issues
  }
}

function lineOf(source: string, { at, message }: ConfigIssue): string {
  return at ? `${source}:${at.line}:${at.column}: ${message}` : `${source}: ${message}`
}
