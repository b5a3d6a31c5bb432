/**
 * A text as a log or a message may have it: without the user and the password of an address in it, also where it cannot be read as one, as
 * with a slash or an @ in the password, or with a slash too few.
 */
export function withoutPassword(text: string): string {
  // No expression: one that looks for all of this takes minutes for a long text that has none of it.
  const head = text.slice(0, text.lastIndexOf('@') + 1)
  const colon = head.indexOf(':')
  const slashes = head.indexOf('//')
  if (colon < 0 && slashes < 0) return text
  const hasScheme = slashes >= 0 && (colon < 0 || slashes <= colon + 1)
  const start = hasScheme ? head.slice(0, slashes + 2) : head.startsWith('"') ? '"' : ''
  return `${start}***@${text.slice(head.length)}`
}
