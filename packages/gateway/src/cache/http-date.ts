const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

const TIME = '(\\d{2}):(\\d{2}):(\\d{2})'

/** `Sun, 06 Nov 1994 08:49:37 GMT`, as it is written today. */
const FIXDATE = new RegExp(`^[a-z]{3}, (\\d{2}) ([a-z]{3}) (\\d{4}) ${TIME} gmt$`)
/** `Sunday, 06-Nov-94 08:49:37 GMT`. */
const RFC_850 = new RegExp(`^[a-z]{6,9}, (\\d{2})-([a-z]{3})-(\\d{2}) ${TIME} gmt$`)
/** `Sun Nov  6 08:49:37 1994`. */
const ASCTIME = new RegExp(`^[a-z]{3} ([a-z]{3}) ([ \\d]\\d) ${TIME} (\\d{4})$`)

/**
 * Reads a date of HTTP in its three forms, and nothing else: what `Date.parse` makes of other texts differs from place to place.
 *
 * @returns milliseconds since 1970; `undefined` for a text that is no such date
 * @see RFC 9110, section 5.6.7
 */
export function httpDate(text: string): number | undefined {
  const lowerCase = text.trim().toLowerCase()
  const fixed = FIXDATE.exec(lowerCase)
  if (fixed) return timeOf(Number(fixed[3]), fixed[2], fixed[1], fixed.slice(4))
  const old = RFC_850.exec(lowerCase)
  if (old) return timeOf(wholeYear(Number(old[3])), old[2], old[1], old.slice(4))
  const asctime = ASCTIME.exec(lowerCase)
  return asctime ? timeOf(Number(asctime[6]), asctime[1], asctime[2], asctime.slice(3, 6)) : undefined
}

function timeOf(year: number, monthName: string | undefined, day: string | undefined, clock: readonly string[]): number | undefined {
  const month = MONTHS.indexOf(monthName ?? '')
  const [hours = 0, minutes = 0, seconds = 0] = clock.map(Number)
  // A 60th second is a leap second.
  if (month < 0 || hours > 23 || minutes > 59 || seconds > 60) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month, Number(day))
  if (date.getUTCMonth() !== month || date.getUTCDate() !== Number(day)) return undefined
  return date.setUTCHours(hours, minutes, seconds)
}

/** Of two digits, as POSIX reads them: who writes them today writes of the past. */
function wholeYear(twoDigits: number): number {
  return twoDigits < 69 ? 2_000 + twoDigits : 1_900 + twoDigits
}
