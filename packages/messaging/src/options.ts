/** May be 0: no pause, no time. All other numbers must be from 1. */
const FROM_ZERO = new Set(['baseMs', 'capMs'])

/**
 * Checks numeric options.
 *
 * @throws {RangeError} naming the action, the option and its value
 */
export function checkOptions(action: string, options: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(options)) {
    const least = FROM_ZERO.has(name) ? 0 : 1
    if (!Number.isSafeInteger(value) || value < least)
      throw new RangeError(`cannot ${action}: "${name}" is ${value}, wanted a whole number from ${least}`)
  }
}
