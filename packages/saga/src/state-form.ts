import { given } from './options.ts'

/**
 * What is wrong with the form of what a migration gave, whatever the compiler was told; `undefined`: nothing. Says the place, what is there
 * and what is wanted.
 */
export function wrongMigration(answer: unknown): string | undefined {
  if (!isObject(answer)) return `"migrate" gives ${given(answer)}, wanted an object with a "state"`
  const { state, results } = { state: undefined, results: undefined, ...answer }
  return anyState(state, 'state') ?? optional(is('an object', isObject))(results, 'results')
}

type Form = (value: unknown, path: string) => string | undefined
type Fields = Readonly<Record<string, Form>>

const is =
  (wanted: string, test: (value: unknown) => boolean): Form =>
  (value, path) =>
    test(value) ? undefined : wrong(path, value, wanted)

const optional =
  (of: Form): Form =>
  (value, path) =>
    value === undefined ? undefined : of(value, path)

const list =
  (of: Form): Form =>
  (value, path) =>
    Array.isArray(value) ? firstOf(value.map((one, index) => of(one, `${path}[${index}]`))) : wrong(path, value, 'an array')

const form =
  (fields: Fields): Form =>
  (value, path) => {
    if (!isObject(value)) return wrong(path, value, 'an object')
    const own: Readonly<Record<string, unknown>> = { ...value }
    return firstOf(Object.entries(fields).map(([name, field]) => field(own[name], `${path}.${name}`)))
  }

/** One of several forms. */
const byStatus = (forms: Readonly<Record<string, Fields>>): Form => {
  const known = Object.keys(forms)
  const status = is(`one of ${known.join(', ')}`, (one) => typeof one === 'string' && known.includes(one))
  const formOf = (value: unknown) => (isObject(value) && 'status' in value ? forms[String(value.status)] : undefined) ?? {}
  return (value, path) => form({ status })(value, path) ?? form(formOf(value))(value, path)
}

const text = is('a text', (value) => typeof value === 'string')
const count = is('a whole number from 0', (value) => Number.isSafeInteger(value) && Number(value) >= 0)
const yesOrNo = is('true or false', (value) => typeof value === 'boolean')
const time = is('a number', (value) => typeof value === 'number' && Number.isFinite(value))
const texts = (...names: string[]): Form => form(Object.fromEntries(names.map((name) => [name, text])))

const failure = texts('code', 'message')
const cause = form({ step: text, refused: yesOrNo, code: text, message: text })
const pause = optional(form({ wakeAt: optional(time), failure: optional(failure) }))
const lane = form({ at: text, failures: count, doubt: yesOrNo, items: optional(count), until: optional(time), pause })
const ways = {
  running: { lanes: list(lane), touched: list(text) },
  undoing: { left: list(text), open: list(form({ at: text, doubt: yesOrNo })), failures: count, cause, pause },
}

const anyState = byStatus({ ...ways, stuck: { resume: byStatus(ways), failure }, completed: {}, compensated: { cause } })

/** Neither a list nor a promise, which has nothing of it. */
function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Promise)
}

function firstOf(found: readonly (string | undefined)[]): string | undefined {
  return found.find((one) => one !== undefined)
}

function wrong(path: string, value: unknown, wanted: string): string {
  return `"${path}" is ${given(value)}, wanted ${wanted}`
}
