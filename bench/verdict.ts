import { median } from './report.ts'

/** One line of a benchmark's table. */
export interface Verdict {
  readonly what: string
  /** With its unit. */
  readonly ours: string
  /** Who it is put beside, and their figure; missing where the target is a figure of its own. */
  readonly theirs?: string
  /** Ours to theirs. */
  readonly ratio?: string
  /** As stated before measuring; missing where the line is for information only. */
  readonly target?: string
  readonly met?: boolean
}

/** A figure as it came in each round, and its median. */
export interface Series {
  readonly median: number
  readonly rounds: readonly number[]
}

export function series(rounds: readonly number[]): Series {
  return { median: neat(median(rounds)), rounds: rounds.map(neat) }
}

/** Is `ours` at least (`>=`) or at most (`<=`) so many times `theirs`? */
export function beside(
  what: string,
  ours: number,
  peer: string,
  theirs: number,
  wanted: { atLeast: number } | { atMost: number },
  unit: string,
): Verdict {
  const [target, met] = compare(ours / theirs, wanted)
  return { what, ours: `${figure(ours)}${unit}`, ...compared(ours, peer, theirs, unit), target: `${target}x`, met }
}

/** Who stands beside, and ours to theirs. */
export function compared(ours: number, peer: string, theirs: number, unit: string): { theirs: string; ratio: string } {
  return { theirs: `${peer} ${figure(theirs)}${unit}`, ratio: `${figure(ours / theirs)}x` }
}

/** Is `ours` at least or at most so much? */
export function alone(what: string, ours: number, wanted: { atLeast: number } | { atMost: number }, unit: string): Verdict {
  const [target, met] = compare(ours, wanted)
  return { what, ours: `${figure(ours)}${unit}`, target: `${target}${unit}`, met }
}

/** A line without a target. */
export function note(what: string, ours: number, unit: string): Verdict {
  return { what, ours: `${figure(ours)}${unit}` }
}

function compare(value: number, wanted: { atLeast: number } | { atMost: number }): [string, boolean] {
  if ('atLeast' in wanted) return [`>= ${figure(wanted.atLeast)}`, value >= wanted.atLeast]
  return [`<= ${figure(wanted.atMost)}`, value <= wanted.atMost]
}

/** Prints the lines as a table and says whether every target is met. */
export function printVerdicts(verdicts: readonly Verdict[]): boolean {
  const rows = [
    ['', 'ours', 'beside', 'ratio', 'wanted', ''],
    ...verdicts.map(({ what, ours, theirs = '', ratio = '', target = '', met }) => [
      what,
      ours,
      theirs,
      ratio,
      target,
      met === undefined ? '' : met ? 'met' : 'NOT met',
    ]),
  ]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  return verdicts.every(({ met }) => met !== false)
}

/** Three digits where there are fewer than that before the point. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return String(neat(value))
}

function neat(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
