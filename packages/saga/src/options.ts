/**
 * Checks that a number is whole and in its range.
 *
 * @throws {RangeError} naming the action, the option and its value
 */
export function checkWhole(action: string, name: string, value: number, least: number, most: number = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return
  const wanted = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`
  throw new RangeError(`cannot ${action}: "${name}" is ${value}, wanted a whole number ${wanted}`)
}

/**
 * Checks a name of a saga, a step or an operation.
 *
 * @throws {TypeError} when it is empty, longer than 200 characters, or not a text
 */
export function checkName(action: string, what: string, name: unknown): void {
  if (typeof name === 'string' && name.length > 0 && name.length <= 200) return
  throw new TypeError(`cannot ${action}: ${what} is ${JSON.stringify(name)}, wanted a text of 1 to 200 characters`)
}
