export interface CodedErrorOptions {
  /** What led to it; always kept. */
  cause?: unknown
  /** When trying again makes sense, in how many milliseconds. */
  retryAfterMs?: number
  /** The HTTP status to answer with when it reaches a server's edge, 400 to 599. Left out, the edge says 500 and hides the message. */
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

/** The code of an error of ours or of Node's, `undefined` for any other value. Never throws, whatever it is given. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  try {
    // A proxy may throw at each of these, and so may a getter.
    const code = 'code' in error ? error.code : undefined
    return typeof code === 'string' ? code : undefined
  } catch {
    return undefined
  }
}

/**
 * What an unknown thrown value says: the message of an error, or of those it was put together of, or its code or its name where it has
 * none; else the value as text, JSON where it has no text of its own. Never throws, whatever it is given.
 */
export function messageOf(error: unknown): string {
  const said = attempted(() => (error instanceof Error ? saidBy(error) : textOf(error)))
  return said ?? attempted(() => String(error)) ?? 'a value that cannot be shown'
}

/** The stack of an error, where it is text: some programs make it a list of call sites. Never throws, whatever it is given. */
export function stackOf(error: unknown): string | undefined {
  return attempted(() => (error instanceof Error && typeof error.stack === 'string' ? error.stack : undefined))
}

/** Node gives no message to what it throws when no address of a name takes a connection. */
function saidBy(error: Error): string | undefined {
  const own = textOf(error.message)
  if (own !== '') return own
  // One level, as there may be circles.
  const parts = error instanceof AggregateError ? error.errors.map((one) => textOf(one instanceof Error ? one.message : one)) : []
  return parts.filter(Boolean).join('; ') || codeOf(error) || error.name
}

/** Handlers throw what they like: an object without a prototype, a proxy, an error whose message is the body of an answer. */
function textOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return String(value)
  const hasText = typeof value.toString === 'function' && value.toString !== Object.prototype.toString && !Array.isArray(value)
  return hasText ? String(value) : JSON.stringify(value)
}

function attempted(read: () => string | undefined): string | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
