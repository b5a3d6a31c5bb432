/** PostgreSQL has no place for the character NUL in a text: it becomes the sign for what cannot be shown. */
export function storable(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text
}

/** {@link storable}, or nothing. */
export function orNull(text: string | undefined): string | null {
  return text === undefined ? null : storable(text)
}
