import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'

/** What every benchmark understands. */
export interface Options {
  /** How many rounds, the contestants taking turns in each. */
  readonly rounds: number
  /** Short, to try the command: prints, and writes no report. */
  readonly quick: boolean
  /** The benchmark's own switches that were given. */
  readonly given: ReadonlySet<string>
}

/**
 * Reads `--rounds N`, `--quick`, `--help` and the switches named; `undefined` after printing `help`.
 *
 * @throws {TypeError} {RangeError} for what is not an option, or out of range
 */
export function readOptions(args: readonly string[], help: string, switches: readonly string[] = []): Options | undefined {
  const own: ParseArgsOptionsConfig = Object.fromEntries(switches.map((name) => [name, { type: 'boolean', default: false }]))
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
  const text = typeof values.rounds === 'string' ? values.rounds : quick ? '1' : '5'
  const rounds = Number(text)
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new RangeError(`cannot run the benchmark: "--rounds" is "${text}", wanted a whole number from 1`)
  return { rounds, quick, given: new Set(switches.filter((name) => values[name] === true)) }
}
