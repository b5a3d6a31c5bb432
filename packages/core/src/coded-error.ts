export interface CodedErrorOptions {
  /** What led to it; always kept. */
  cause?: unknown
  /** When trying again makes sense, in how many milliseconds. */
  retryAfterMs?: number
  /** The HTTP status to answer with when it reaches a server's edge. Left out, the edge says 500 and hides the message. */
  status?: number
}

/**
 * The base of every error Banyan throws. Match on `code`, never on the message. One subclass a package, each with its
 * union of codes.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code
  readonly retryAfterMs: number | undefined
  readonly status: number | undefined

  constructor(code: Code, message: string, options: CodedErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = new.target.name
    this.code = code
    this.retryAfterMs = options.retryAfterMs
    this.status = options.status
  }
}

/** The code of an error of ours or of Node's, `undefined` for any other value. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** What an unknown thrown value says: the message of an error, else the value as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
