import { shown } from '@banyan/core'
/** The longest delay a timer can have, milliseconds: 2^31 - 1, about 24.8 days. */
export const MAX_TIMER_MS = 2_147_483_647

export interface NumberRange {
  /** The least value allowed. */
  min: number
  /** The greatest value allowed. Default: none. */
  max?: number
  /** Only whole numbers. Default false. */
  whole?: boolean
}

/**
 * Checks one number among the options of `action` ("create bulkhead").
 *
 * @throws {RangeError} naming the option, its value and what is wanted
 */
export function checkNumber(action: string, name: string, value: number, range: NumberRange): void {
  const { min, max = Number.POSITIVE_INFINITY, whole = false } = range
  if (typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value))) return
  const kind = whole ? 'a whole number' : 'a number'
  const wanted = max === Number.POSITIVE_INFINITY ? `${kind} from ${min}` : `${kind} from ${min} to ${max}`
  throw new RangeError(`cannot ${action}: "${name}" is ${shown(value)}, wanted ${wanted}`)
}

/**
 * Checks a duration that a timer has to keep: at least `min` milliseconds, at most {@link MAX_TIMER_MS}.
 *
 * @throws {RangeError} naming the option, its value and what is wanted
 */
export function checkDuration(action: string, name: string, value: number, min = 0): void {
  checkNumber(action, name, value, { min, max: MAX_TIMER_MS })
}
