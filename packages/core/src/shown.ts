/** An option's value as a message shows it: texts in quotes, so that the text "80" is not taken for the number. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : String(value)
}
