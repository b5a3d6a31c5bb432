import { isForwardedHeader } from './forwarded.ts'
import { connectionOptions, isHopByHop, isIdentityHeader, isNeverHopByHop, withoutHeaders } from './headers.ts'

/** The headers of a request, taken apart in one pass: each request comes through here, and most of its time in JavaScript is headers. */
export interface RequestHeaders {
  readonly host: string | undefined
  readonly contentLength: string | undefined
  readonly transferEncoding: string | undefined
  readonly requestId: string | undefined
  readonly via: readonly string[]
  /** One that may stand once only and stands twice: which of the two a service would take is a matter of luck. */
  readonly repeated: string | undefined
  /** What goes on: end-to-end headers, in the order they came, without those that only the gateway may say. A new list, for whoever reads it. */
  readonly forwarded: string[]
}

/** Takes the headers of a request apart. */
export function readRequestHeaders(headers: readonly string[]): RequestHeaders {
  const parts = new Parts()
  for (let index = 0; index < headers.length; index += 2) parts.take(headers[index] ?? '', headers[index + 1] ?? '')
  return parts.headers()
}

/** What has been found so far. A class: an object with names that are worked out would cost more than all the rest. */
class Parts {
  #host: string | undefined
  #contentLength: string | undefined
  #transferEncoding: string | undefined
  #authorization: string | undefined
  #requestId: string | undefined
  #connection: string | undefined
  #repeated: string | undefined
  readonly #via: string[] = []
  readonly #forwarded: string[] = []

  take(name: string, value: string): void {
    const lowerCase = name.toLowerCase()
    switch (lowerCase) {
      case 'host':
        this.#host = this.#once(lowerCase, this.#host, value)
        break
      case 'content-length':
        this.#contentLength = this.#once(lowerCase, this.#contentLength, value)
        break
      case 'transfer-encoding':
        this.#transferEncoding = this.#once(lowerCase, this.#transferEncoding, value)
        return
      case 'authorization':
        this.#authorization = this.#once(lowerCase, this.#authorization, value)
        break
      case 'x-request-id':
        // Of two the first counts: it is for logs.
        this.#requestId ??= value
        return
      case 'via':
        this.#via.push(value)
        break
      case 'connection':
        this.#connection = this.#connection === undefined ? value : `${this.#connection},${value}`
        return
      default:
        if (isHopByHop(name) || isForwardedHeader(lowerCase) || isIdentityHeader(lowerCase)) return
    }
    this.#forwarded.push(name, value)
  }

  headers(): RequestHeaders {
    return {
      host: this.#host,
      contentLength: this.#contentLength,
      transferEncoding: this.#transferEncoding,
      requestId: this.#requestId,
      via: this.#via,
      repeated: this.#repeated,
      forwarded: unlisted(this.#forwarded, this.#connection),
    }
  }

  #once(name: string, before: string | undefined, value: string): string {
    if (before === undefined) return value
    this.#repeated ??= name
    return before
  }
}

/** Without those that a `Connection` header names, which are about this connection. */
function unlisted(headers: string[], connection: string | undefined): string[] {
  const listed = connection === undefined ? undefined : connectionOptions(['connection', connection])
  if (!listed || listed.size === 0) return headers
  return withoutHeaders(headers, (name) => listed.has(name) && !isNeverHopByHop(name))
}
