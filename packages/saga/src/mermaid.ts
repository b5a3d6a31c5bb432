/** A text as Mermaid takes it for a label, whatever stands in it: in quotes, with `#` and `"` by their codes. */
export function quoted(text: string): string {
  return `"${text.replaceAll('#', '#35;').replaceAll('"', '#quot;')}"`
}

/** Lines of a chart, two spaces further in for each level. */
export function indented(lines: readonly string[], depth = 1): string[] {
  return lines.map((line) => `${'  '.repeat(depth)}${line}`)
}
