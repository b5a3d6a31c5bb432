import type { HeaderList } from '../headers.ts'

/** What a service is told of who calls. */
export function identityHeaders(subject: string | undefined, scopes: readonly string[]): HeaderList {
  return [
    ...(subject === undefined ? [] : ['x-auth-subject', headerSafe(subject)]),
    ...(scopes.length === 0 ? [] : ['x-auth-scopes', scopes.map(headerSafe).join(' ')]),
  ]
}

/** As it is, or percent-encoded where it is not plain ASCII. `%` is encoded too, so that no two values look alike. */
export function headerSafe(value: string): string {
  // A lone surrogate cannot be encoded; toWellFormed makes it U+FFFD.
  return /^[!-$&-~]+$/.test(value) ? value : encodeURIComponent(value.toWellFormed())
}

/** Which of the scopes that are wanted were not granted. */
export function missingScopes(wanted: readonly string[], granted: readonly string[]): readonly string[] {
  return wanted.filter((scope) => !granted.includes(scope))
}
