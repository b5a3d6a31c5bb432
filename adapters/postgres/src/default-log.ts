import type { Logger } from '@banyan/core'

/** The log of those who give none: warnings and errors go to stderr, the rest nowhere. */
export const defaultLog: Logger = {
  debug() {},
  info() {},
  warn: (fields, message) => console.warn(message, fields),
  error: (fields, message) => console.error(message, fields),
}
