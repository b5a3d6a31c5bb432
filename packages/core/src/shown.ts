/** An option's value as a message shows it: texts in quotes, so that the text "80" is not taken for the number. Never throws. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `"${value}"`
  try {
    return String(value)
  } catch {
    // An object without a prototype, as some parsers of options make them.
    return 'a value that cannot be shown'
  }
}
