import type { GatewayRequest } from '../exchange.ts'
import { type HeaderList, headerOf, withoutHeaders } from '../headers.ts'

/** What a service is told of who calls. */
export function identityHeaders(subject: string | undefined, scopes: readonly string[]): HeaderList {
  return [
    ...(subject === undefined ? [] : ['x-auth-subject', headerSafe(subject)]),
    ...(scopes.length === 0 ? [] : ['x-auth-scopes', scopes.map(headerSafe).join(' ')]),
  ]
}

/**
 * The request with who calls, in place of whom a plugin before this one found out: a service that is told of two takes one of them, perhaps with the
 * scopes of the other. The claims of a token stay until another token is checked.
 *
 * @param identity of `identityHeaders`, and what a plugin tells besides
 */
export function identified(request: GatewayRequest, subject: string | undefined, identity: HeaderList): GatewayRequest {
  const isTold = [CLAIMS, ...OF_CALLER].some((name) => headerOf(request.headers, name) !== undefined)
  const isReplaced = (name: string) => OF_CALLER.includes(name) || (name === CLAIMS && headerOf(identity, CLAIMS) !== undefined)
  const others = isTold ? withoutHeaders(request.headers, isReplaced) : request.headers
  return { ...request, subject, headers: [...others, ...identity] }
}

const OF_CALLER = ['x-auth-subject', 'x-auth-scopes']
const CLAIMS = 'x-auth-claims'

/** As it is, or percent-encoded where it is not plain ASCII. `%` is encoded too, so that no two values look alike. */
export function headerSafe(value: string): string {
  // A lone surrogate cannot be encoded; toWellFormed makes it U+FFFD.
  return /^[!-$&-~]+$/.test(value) ? value : encodeURIComponent(value.toWellFormed())
}

/** Which of the scopes that are wanted were not granted. */
export function missingScopes(wanted: readonly string[], granted: readonly string[]): readonly string[] {
  return wanted.filter((scope) => !granted.includes(scope))
}
