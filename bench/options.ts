import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'

/** What every benchmark understands. */
export interface Options {
  /** How many rounds, the contestants taking turns in each. */
  readonly rounds: number
  /** Short, to try the command: prints, and writes no report. */
  readonly quick: boolean
  /** The benchmark's own switches that were given. */
  readonly given: ReadonlySet<string>
  /** The benchmark's own numbers, as given or by default. */
  readonly numbers: Readonly<Record<string, number>>
}

/**
 * Reads `--rounds N`, `--quick`, `--help`, the switches named and the `numbers` (whole, from 1) with their defaults; `undefined` after
 * printing `help`.
 *
 * @throws {TypeError} {RangeError} for what is not an option, or out of range
 */
export function readOptions(
  args: readonly string[],
  help: string,
  switches: readonly string[] = [],
  numbers: Readonly<Record<string, number>> = {},
): Options | undefined {
  const own: ParseArgsOptionsConfig = {
    ...Object.fromEntries(switches.map((name) => [name, { type: 'boolean', default: false }])),
    ...Object.fromEntries(Object.keys(numbers).map((name) => [name, { type: 'string' }])),
  }
  const { values }: { values: Readonly<Record<string, unknown>> } = parseArgs({
    args: [...args],
    options: {
      ...own,
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(help)
    return undefined
  }
  const quick = values.quick === true
  const numberOf = (name: string, byDefault: number) => wholeNumber(name, values[name] ?? String(byDefault))
  return {
    rounds: numberOf('rounds', quick ? 1 : 5),
    quick,
    given: new Set(switches.filter((name) => values[name] === true)),
    numbers: Object.fromEntries(Object.entries(numbers).map(([name, byDefault]) => [name, numberOf(name, byDefault)])),
  }
}

function wholeNumber(name: string, text: unknown): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1) return number
  throw new RangeError(`cannot run the benchmark: "--${name}" is "${text}", wanted a whole number from 1`)
}
