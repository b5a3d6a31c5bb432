import { parseDuration } from './duration.ts'
import { DiscoveryError } from './errors.ts'

/** Reads the fields of a JSON object, each once, with errors that name the field. Names as Consul takes them: any case, `_` or not. */
export interface Fields {
  text(name: string, fallback: string): string
  /** A whole number from `from` to `to`. */
  integer(name: string, fallback: number, from: number, to: number): number
  flag(name: string): boolean
  /** Milliseconds of a text like `10s`, or of a number of nanoseconds, as Go's clients send it. */
  duration(name: string): number | undefined
  texts(name: string): readonly string[]
  textMap(name: string): Readonly<Record<string, string>>
  objects(name: string): readonly Fields[]
  object(name: string): Fields | undefined
  /** The value as it came. */
  raw(name: string): unknown
  /** The names that came and were not read yet. */
  names(): readonly string[]
  /** Where the object is: `Check`; empty for the body. */
  readonly path: string
  /** The whole name of a field: `Check.TTL`. */
  pathOf(name: string): string
  /** Fields that may come and mean nothing here. */
  ignore(...names: string[]): void
  /** @throws {DiscoveryError} when one of them has a value: leaving it out silently would promise what is not done */
  unsupported(...names: string[]): void
  /** @throws {DiscoveryError} when there are fields that nobody read */
  end(): void
}

/** A request that cannot be done as it stands. */
export function badRequest(detail: string): DiscoveryError {
  return new DiscoveryError('ERR_BAD_REQUEST', detail, { status: 400 })
}

/** @throws {DiscoveryError} `ERR_BAD_REQUEST` when `value` is not an object */
export function fieldsOf(value: unknown, path = ''): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(path || 'the body', value, 'an object')
  const left = new Map(Object.entries(value).map(([name, field]) => [canonical(name), { name, field }]))
  const known: string[] = []
  const pathOf = (name: string) => (path === '' ? name : `${path}.${name}`)
  const take = (name: string): unknown => {
    known.push(name)
    const field = left.get(canonical(name))?.field
    left.delete(canonical(name))
    return field ?? undefined
  }
  const fields: Fields = {
    path,
    pathOf,
    raw: take,
    names: () => [...left.values()].map(({ name }) => name),
    text: (name, fallback) => textOf(pathOf(name), take(name) ?? fallback),
    integer: (name, fallback, from, to) => integerOf(pathOf(name), take(name) ?? fallback, from, to),
    flag: (name) => flagOf(pathOf(name), take(name) ?? false),
    duration: (name) => durationOf(pathOf(name), take(name)),
    texts: (name) => listOf(pathOf(name), take(name)).map((each, index) => textOf(`${pathOf(name)}[${index}]`, each)),
    textMap: (name) => textMapOf(pathOf(name), take(name)),
    objects: (name) => listOf(pathOf(name), take(name)).map((each, index) => fieldsOf(each, `${pathOf(name)}[${index}]`)),
    object(name) {
      const field = take(name)
      return field === undefined ? undefined : fieldsOf(field, pathOf(name))
    },
    ignore(...names) {
      for (const name of names) take(name)
    },
    unsupported(...names) {
      for (const name of names) if (!isEmpty(take(name))) throw badRequest(`"${pathOf(name)}" is not supported by this registry`)
    },
    end() {
      for (const { name } of left.values()) throw badRequest(`unknown field "${pathOf(name)}"; known are ${known.join(', ')}`)
    },
  }
  return fields
}

function canonical(name: string): string {
  return name.replaceAll('_', '').toLowerCase()
}

function wrong(path: string, value: unknown, wanted: string): DiscoveryError {
  const shown = JSON.stringify(value) ?? 'nothing'
  return badRequest(`"${path}" is ${shown.length > 100 ? `${shown.slice(0, 100)}...` : shown}, wanted ${wanted}`)
}

function textOf(path: string, value: unknown): string {
  if (typeof value !== 'string') throw wrong(path, value, 'a text')
  return value
}

function integerOf(path: string, value: unknown, from: number, to: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < from || value > to)
    throw wrong(path, value, `a whole number from ${from} to ${to}`)
  return value
}

function flagOf(path: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrong(path, value, 'true or false')
  return value
}

function durationOf(path: string, value: unknown): number | undefined {
  if (value === undefined || value === '') return undefined
  const durationMs = typeof value === 'string' ? parseDuration(value) : typeof value === 'number' && value >= 0 ? value / 1e6 : undefined
  if (durationMs === undefined) throw wrong(path, value, 'a duration, as in "10s", "500ms" or "1m30s"')
  // In whole nanoseconds, as in Go: as a text, what is shorter could not be read again.
  return Math.round(durationMs * 1e6) / 1e6
}

function listOf(path: string, value: unknown): readonly unknown[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw wrong(path, value, 'a list')
  return value
}

function textMapOf(path: string, value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(path, value, 'an object of texts')
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, textOf(`${path}.${name}`, field)]))
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false || value === 0) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
