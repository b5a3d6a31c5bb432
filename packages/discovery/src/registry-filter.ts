import { badRequest } from './fields.ts'

/** Decides of one row of an answer, in Consul's JSON, whether it stays. */
export type RowFilter = (row: unknown) => boolean

/** An expression nests this deep at most: each level is a call. */
const deepest = 50

/**
 * Reads a filter expression as Consul has it: `Service.Meta.version == "7" and not ("blue" in Service.Tags)`. `matches` is left out: an
 * expression that takes forever would stop the registry.
 *
 * @throws {DiscoveryError} `ERR_BAD_REQUEST`, saying where it is wrong; the filter throws it for a field that rows do not have
 * @see https://developer.hashicorp.com/consul/api-docs/features/filtering
 */
export function readFilter(text: string): RowFilter {
  const words = wordsOf(text)
  const filter = readOr(words, 0)
  if (words.peek() !== undefined) throw words.wrong('"and", "or" or the end')
  return filter
}

interface Word {
  readonly text: string
  /** It stood in quotes, so it is a value whatever it says. */
  readonly quoted: boolean
}

interface Words {
  peek(): Word | undefined
  /** Takes the next word when it is this one, in any case. */
  take(text: string): boolean
  next(wanted: string): Word
  wrong(wanted: string): Error
}

function wordsOf(text: string): Words {
  const words: Word[] = []
  const shape = /\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`|(==|!=|[()])|([^\s()"`=![]+(?:\["[^"]*"\][^\s()"`=![]*)*))/gy
  let end = 0
  for (const match of text.matchAll(shape)) {
    end = match.index + match[0].length
    const quoted = match[1]?.replaceAll(/\\(.)/g, '$1') ?? match[2]
    words.push({ text: quoted ?? match[3] ?? match[4] ?? '', quoted: quoted !== undefined })
  }
  if (text.slice(end).trim() !== '') throw badRequest(`"filter" cannot be read from ${JSON.stringify(text.slice(end, end + 20))} on`)
  let at = 0
  const is = (word: Word | undefined, wanted: string) => word !== undefined && !word.quoted && word.text.toLowerCase() === wanted
  const wrong = (wanted: string) => badRequest(`"filter" has ${words[at] ? `"${words[at]?.text}"` : 'its end'} where ${wanted} is wanted`)
  return {
    peek: () => words[at],
    take(wanted) {
      const found = is(words[at], wanted)
      if (found) at += 1
      return found
    },
    next(wanted) {
      const word = words[at]
      if (!word) throw wrong(wanted)
      at += 1
      return word
    },
    wrong,
  }
}

function readOr(words: Words, depth: number): RowFilter {
  const parts = [readAnd(words, depth)]
  while (words.take('or')) parts.push(readAnd(words, depth))
  return (row) => parts.some((part) => part(row))
}

function readAnd(words: Words, depth: number): RowFilter {
  const parts = [readOne(words, depth)]
  while (words.take('and')) parts.push(readOne(words, depth))
  return (row) => parts.every((part) => part(row))
}

function readOne(words: Words, depth: number): RowFilter {
  if (depth > deepest) throw badRequest(`"filter" nests deeper than ${deepest}`)
  if (words.take('not')) {
    const inner = readOne(words, depth + 1)
    return (row) => !inner(row)
  }
  if (!words.take('(')) return readMatch(words)
  const inner = readOr(words, depth + 1)
  if (!words.take(')')) throw words.wrong('")"')
  return inner
}

function readMatch(words: Words): RowFilter {
  const first = words.next('a field or a value')
  const not = words.take('not')
  const negated = (filter: RowFilter): RowFilter => (not ? (row) => !filter(row) : filter)
  if (words.take('in')) {
    const selector = words.next('a field').text
    return negated((row) => holds(valueAt(row, selector), first.text))
  }
  if (words.take('contains')) {
    const value = words.next('a value').text
    return negated((row) => holds(valueAt(row, first.text), value))
  }
  if (not) throw words.wrong('"in" or "contains"')
  if (words.take('is')) {
    const wanted = !words.take('not')
    if (!words.take('empty')) throw words.wrong('"empty"')
    return (row) => isEmpty(valueAt(row, first.text)) === wanted
  }
  const same = words.take('==')
  if (!same && !words.take('!=')) throw words.wrong('==, !=, in, contains or is')
  const value = words.next('a value').text
  return (row) => (textOf(valueAt(row, first.text)) === value) === same
}

/** The value of `Service.Meta.version`, or `Service.Meta["my.key"]`; `undefined` for a key that a map does not have. */
function valueAt(row: unknown, selector: string): unknown {
  const names = [...selector.matchAll(/([^.[\]"]+)|\["([^"]*)"\]/g)].map((match) => match[1] ?? match[2] ?? '')
  let value = row
  for (const [i, name] of names.entries()) {
    const before = names[i - 1]
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw noField(selector, [])
    if (!Object.hasOwn(value, name) && !before?.endsWith('Meta') && !before?.endsWith('TaggedAddresses'))
      throw noField(selector, Object.keys(value))
    value = Object.getOwnPropertyDescriptor(value, name)?.value
    if (value === undefined) return undefined
  }
  return value
}

function noField(selector: string, known: readonly string[]): Error {
  return badRequest(
    `"filter" asks for "${selector}", which rows of this answer do not have${known.length > 0 ? `; they have ${known.join(', ')}` : ''}`,
  )
}

/** A list has the value, a map the key, a text the part. */
function holds(value: unknown, wanted: string): boolean {
  if (Array.isArray(value)) return value.includes(wanted)
  if (typeof value === 'string') return value.includes(wanted)
  return typeof value === 'object' && value !== null && Object.hasOwn(value, wanted)
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}
