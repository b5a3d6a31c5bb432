/**
 * Cases in which another proxy may do otherwise than ours and be right, or at least do what many do: the standard allows it, asks for it with
 * SHOULD, or says nothing. There, handing on counts as "other" and not as dangerous, unless what was handed on is in {@link stillDangerous}.
 * One line each: what they may, and where it is said.
 */
export const taste: Readonly<Record<string, string>> = {
  'answer-bare-cr': 'a recipient may put a blank in its place (RFC 9112, 2.2)',
  'answer-chunked-http-1-0': 'its framing is faulty; it may be read, and the connection closed (RFC 9112, 6.1)',
  'answer-chunked-tab': 'blanks and tabs around a value are no part of it (RFC 9110, 5.5)',
  'answer-gzip-chunked': 'a coding that nobody asked for; the standard does not say what becomes of it',
  'answer-nul-in-header': 'a recipient may put a blank in its place (RFC 9110, 5.5)',
  'request-bare-cr': 'a recipient may put a blank in its place (RFC 9112, 2.2)',
  'request-chunks-http-1-0': 'its framing is faulty; it may be read, and the connection closed (RFC 9112, 6.1)',
  'request-connect': 'the upstream may refuse it; the tunnel would lead there and nowhere else',
  'request-control-in-header': 'a recipient may keep other control characters (RFC 9110, 5.5)',
  'request-gzip-chunked': 'a coding that is not known should be refused, and need not (RFC 9112, 6.1)',
  'request-http-2-0': 'a major version that is not spoken may be refused (RFC 9110, 15.6.6)',
  'request-http-2-preface': 'a major version that is not spoken may be refused (RFC 9110, 15.6.6)',
  'request-nul-in-header': 'a recipient may put a blank in its place (RFC 9110, 5.5)',
  'answer-bare-lf': 'a recipient may take a bare LF for the end of a line (RFC 9112, 2.2)',
  'answer-chunks-and-length': 'chunks go before the length, which must not be handed on (RFC 9112, 6.3)',
  'answer-folded-header': 'a proxy may put blanks in the place of the fold (RFC 9112, 5.2)',
  'answer-head-too-large': 'how much is too much is for each to say',
  'answer-identity': 'an unknown coding of an answer is read until the close (RFC 9112, 6.3)',
  'answer-interim-with-body': 'the standard does not say what a client sees',
  'answer-same-length-twice': 'one length twice may be read as one (RFC 9110, 8.6)',
  'answer-switch-unasked': 'some hand on whatever follows 101',
  'request-authority-not-host': 'a proxy takes the host of the target in place of Host (RFC 9112, 3.2.2)',
  'request-bare-lf': 'a recipient may take a bare LF for the end of a line (RFC 9112, 2.2)',
  'request-chunks-and-length': 'chunks go before the length, which must not be handed on (RFC 9112, 6.3)',
  'request-length-and-chunks': 'chunks go before the length, which must not be handed on (RFC 9112, 6.3)',
  'request-expectation-unknown': 'a server may answer 417 and need not (RFC 9110, 10.1.1)',
  'request-folded-header': 'a proxy may put blanks in the place of the fold (RFC 9112, 5.2)',
  'request-head-too-large': 'how much is too much is for each to say',
  'request-host-empty': 'a target without authority has an empty Host (RFC 9110, 7.2)',
  'request-http-0-9': 'HTTP/0.9 may be spoken (RFC 1945)',
  'request-http-0-9-bare-lf': 'HTTP/0.9 may be spoken (RFC 1945)',
  'request-http-1-2': 'a higher minor version is read as the highest known (RFC 9110, 2.5)',
  'request-length-list': 'one length twice may be read as one (RFC 9110, 8.6)',
  'request-no-host-http-1-0': 'HTTP/1.0 knows no Host',
  'request-options-asterisk': 'the server itself may be asked for its options (RFC 9110, 9.3.7)',
  'request-path-backslash': 'no rule of HTTP says how a path is read behind the proxy',
  'request-path-bad-escape': 'no rule of HTTP says how a path is read behind the proxy',
  'request-path-dots-with-parameters': 'no rule of HTTP says how a path is read behind the proxy',
  'request-path-encoded-backslash': 'no rule of HTTP says how a path is read behind the proxy',
  'request-path-encoded-nul': 'no rule of HTTP says how a path is read behind the proxy',
  'request-path-fragment': 'a request line that is not clean should be refused, and need not (RFC 9112, 3)',
  'request-same-length-twice': 'one length twice may be read as one (RFC 9110, 8.6)',
  'request-smuggled-behind': 'chunks go before the length; what is behind them is a request of its own (RFC 9112, 6.3)',
  'request-trace': 'TRACE is a method like others (RFC 9110, 9.3.8)',
  'request-two-authorizations': 'only senders are told not to (RFC 9110, 5.3)',
  'request-unknown-method': 'a proxy hands methods on that it does not know (RFC 9110, 9.1)',
  'request-websocket-with-body': 'a handshake with a body is odd, not forbidden (RFC 6455, 4.1)',
}

const hasTwoFramings = (head: string) => /^transfer-encoding:/im.test(head) && /^content-length:/im.test(head)
const hasFold = (head: string) => /\r\n[ \t]/.test(head)
const hasNul = (head: string) => head.includes('\0')
const hasBareCr = (head: string) => /\r(?!\n)/.test(head)

/** What must not be in the head, or in the body, of what is handed on even where handing on is allowed. */
export const stillDangerous: Readonly<Record<string, (head: string, body: string) => boolean>> = {
  'answer-bare-cr': hasBareCr,
  // Read by its chunks, the body is one letter; taken as it comes, the chunks themselves are in it.
  'answer-chunked-tab': (_, body) => body !== 'a',
  'answer-chunks-and-length': hasTwoFramings,
  'answer-folded-header': hasFold,
  'answer-nul-in-header': hasNul,
  'request-bare-cr': hasBareCr,
  'request-chunks-and-length': hasTwoFramings,
  'request-folded-header': hasFold,
  'request-length-and-chunks': hasTwoFramings,
  'request-nul-in-header': hasNul,
  'request-smuggled-behind': hasTwoFramings,
}
