/** Rows as aligned columns under their names, a line each; the last column is not padded. */
export function table(columns: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const texts = [columns, ...rows].map((row) => row.map(cellText))
  const widths = columns.map((_, i) => Math.max(...texts.map((row) => (row[i] ?? '').length)))
  return texts.map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  ')}\n`).join('')
}

/** A time of the database as people write it; `-` for none. */
export function timeText(ms: number | undefined | null): string {
  return ms === undefined || ms === null ? '-' : new Date(ms).toISOString()
}

/** What an error or an id of somebody else's has in it must neither end the row nor speak to the terminal. */
function cellText(cell: unknown): string {
  if (cell === undefined || cell === null) return '-'
  return visible(String(cell))
}

/** A text with its control signs written out, as in JSON. */
export function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => (control === '\n' ? '\\n' : `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`))
}
