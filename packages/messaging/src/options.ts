import { shown } from '@banyan/core'

/** May be 0: no pause, no time. All other numbers must be from 1. */
const FROM_ZERO = new Set(['baseMs', 'capMs'])

/** A hundred years, milliseconds. Any moment that is so far from now is still a whole number that every store can keep. */
const LONGEST_MS = 36_525 * 86_400_000

/**
 * Checks numeric options; those whose name ends in "Ms" are times.
 *
 * @throws {RangeError} naming the action, the option and its value
 */
export function checkOptions(action: string, options: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(options)) {
    const least = FROM_ZERO.has(name) ? 0 : 1
    const most = name.endsWith('Ms') ? LONGEST_MS : Number.MAX_SAFE_INTEGER
    if (Number.isInteger(value) && value >= least && value <= most) continue
    const upTo = most === LONGEST_MS ? ` to ${most} (a hundred years)` : ''
    throw new RangeError(`cannot ${action}: "${name}" is ${shown(value)}, wanted a whole number from ${least}${upTo}`)
  }
}
