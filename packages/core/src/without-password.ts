/**
 * A text as a log or a message may have it: without the user and the password of an address in it, also where it cannot be read as one, as
 * with a slash or an @ in the password, or with a slash too few.
 */
export function withoutPassword(text: string): string {
  return text.replace(/(?:((?:[a-z][\w+.-]*:)?\/\/)|[^":]*:).*@/is, (_, start = '') => `${start}***@`)
}
