import { isForwardedHeader } from './forwarded.ts'
import { endToEndTrailers, type HeaderList, isIdentityHeader, withoutHeaders } from './headers.ts'

/** Beside those that belong before any body: what a request is about, where it came from and how often it may be made. */
const NO_REQUEST_TRAILER =
  /^(?:accept.*|if-.*|origin|referer|via|proxy-.*|x-request-id|x-timeout-ms|x-mirrored|idempotency-key|traceparent|tracestate)$/

/**
 * The trailers of a request that go on. Some services read them as headers, so none may say what a header of the client's may not, in any
 * spelling. @see RFC 9110, section 6.5.1
 */
export function requestTrailers(trailers: HeaderList): HeaderList {
  if (trailers.length === 0) return trailers
  return withoutHeaders(
    endToEndTrailers(trailers),
    (name) => NO_REQUEST_TRAILER.test(name) || isIdentityHeader(name) || isForwardedHeader(name),
  )
}
