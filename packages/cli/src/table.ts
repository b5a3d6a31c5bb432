/** Rows as aligned columns under their names; the last column is not padded. */
export function table(columns: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const texts = [columns, ...rows].map((row) => row.map((cell) => (cell === undefined || cell === null ? '-' : String(cell))))
  const widths = columns.map((_, i) => Math.max(...texts.map((row) => (row[i] ?? '').length)))
  return texts.map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  ')}\n`).join('')
}

/** A time of the database as people write it; `-` for none. */
export function timeText(ms: number | undefined | null): string {
  return ms === undefined || ms === null ? '-' : new Date(ms).toISOString()
}
