import { parseArgs } from 'node:util'

/** An option that is a number: its default, and how small and large it may be. */
export interface NumberOption {
  readonly value: number
  readonly least: number
  readonly most: number
}

/**
 * Reads numbers such as `--requests 1000`, and flags.
 *
 * @returns `undefined` after printing `help` for `--help`
 * @throws {RangeError} for a number out of range; `ERR_PARSE_ARGS_*` for a word that is none
 */
export function readNumbers<const Name extends string>(
  args: readonly string[],
  help: string,
  numbers: Readonly<Record<Name, NumberOption>>,
  flags: readonly string[] = [],
): (Readonly<Record<Name, number>> & { readonly flags: ReadonlySet<string> }) | undefined {
  const names = Object.keys(numbers) as Name[] // of a record with these names
  const options = Object.fromEntries([
    ...names.map((name) => [name, { type: 'string' as const }] as const),
    ...[...flags, 'help'].map((name) => [name, { type: 'boolean' as const }] as const),
  ])
  const parsed = parseArgs({ args: [...args], options })
  // Its type cannot follow names that are not written out.
  const values = parsed.values as Readonly<Record<string, string | boolean | undefined>>
  if (values.help) {
    console.log(help)
    return undefined
  }
  const read = (name: Name): number => {
    const { value, least, most } = numbers[name]
    const number = values[name] === undefined ? value : Number(values[name])
    if (Number.isInteger(number) && number >= least && number <= most) return number
    throw new RangeError(`--${name} is ${String(values[name])}, wanted a whole number from ${least} to ${most}`)
  }
  const set = new Set(flags.filter((name) => values[name] === true))
  return { ...Object.fromEntries(names.map((name) => [name, read(name)])), flags: set } as Readonly<Record<Name, number>> & {
    readonly flags: ReadonlySet<string>
  }
}
