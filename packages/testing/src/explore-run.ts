import { AsyncLocalStorage } from 'node:async_hooks'
import { messageOf } from '@banyan/core'
import { misuse } from './explore-misuse.ts'

/** How a call ended for the one who made it, as plain data. */
export type Answer =
  | { readonly value: string | undefined }
  | { readonly error: { readonly name: string; readonly message: string; readonly code?: string; readonly status?: number } }

/** A service as its client knows it: by the name it has in the exploration, or by its operations alone. */
export interface Called {
  readonly operations: object
  readonly name: string | undefined
}

/** A call that a step makes and that nobody has answered yet. */
export interface Asked {
  readonly service: Called
  readonly operation: string
  readonly request: unknown
}

/**
 * One run of a step's body, with the answers its calls got in an earlier run. A body is not kept while the world moves on: it is
 * run again with one more answer, so that every moment is plain data.
 */
export interface Run {
  readonly answers: readonly Answer[]
  next: number
  /** The first call without an answer ends the run. */
  readonly asked: (asked: Asked) => void
  /** Throws for such a call, for a body whose transaction must not stay open. */
  readonly throws: boolean
}

const runs = new AsyncLocalStorage<Run>()

/** The thing thrown into a body that holds a transaction, to end it. */
export class Unanswered extends Error {}

/** Runs `body`; the calls it makes are answered from `run`. */
export function inRun<T>(run: Run, body: () => Promise<T>): Promise<T> {
  return runs.run(run, body)
}

/** What the methods of a simulated client do. */
export function callInRun(service: Called, operation: string, request: unknown): Promise<unknown> {
  const run = runs.getStore()
  if (!run) {
    const message = `cannot call "${operation}" of a simulated service here: it answers the steps of a saga under explore() alone`
    return Promise.reject(misuse('ERR_OPERATION_UNKNOWN', message))
  }
  const answer = run.answers[run.next]
  run.next += 1
  // Not an async function: the call is known to the run before anything else happens.
  if (answer) return Promise.resolve(answer).then(valueOfAnswer)
  run.asked({ service, operation, request })
  // The body is forgotten where it stands.
  return run.throws ? Promise.reject(new Unanswered('the call has no answer yet')) : new Promise(() => {})
}

/** An error as data. */
export function answerOfError(error: unknown): Answer {
  const name = error instanceof Error ? error.name : 'Error'
  const { code, status } = typeof error === 'object' && error !== null ? (error as { code?: unknown; status?: unknown }) : {}
  return {
    error: {
      name,
      message: messageOf(error),
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof status === 'number' ? { status } : {}),
    },
  }
}

/** A value as data. */
export function answerOfValue(value: unknown, what: string): Answer {
  return { value: toText(value, what) }
}

/** What an answer says. @throws the error it stands for */
export function valueOfAnswer(answer: Answer): unknown {
  if ('error' in answer) throw errorOf(answer.error)
  return fromText(answer.value)
}

/** JSON text of a value; `undefined` for `undefined`. */
export function toText(
  value: unknown,
  what: string,
  replacer?: (this: unknown, name: string, value: unknown) => unknown,
): string | undefined {
  try {
    return JSON.stringify(value, replacer)
  } catch (cause) {
    throw misuse('ERR_NOT_JSON', `cannot keep ${what} as JSON: ${messageOf(cause)}`, { cause })
  }
}

/**
 * JSON text of what is kept between moments, and read again as it was: what JSON would quietly change or drop is an error. Properties that
 * are `undefined` are left out.
 */
export function keptText(value: unknown, what: string): string | undefined {
  return toText(value, what, function (this: unknown, name, changed) {
    // As it was before a `toJSON` of its own.
    const kept: unknown = (this as Record<string, unknown>)[name]
    const wrong = whyNotKept(kept, Array.isArray(this))
    if (wrong) throw new TypeError(name === '' ? `it is ${wrong}` : `"${name}" is ${wrong}`)
    return changed
  })
}

function whyNotKept(value: unknown, isItem: boolean): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : String(value)
  if (value === undefined) return isItem ? 'undefined' : undefined
  if (typeof value !== 'object' || value === null)
    return typeof value === 'string' || typeof value === 'boolean' || value === null ? undefined : `a ${typeof value}`
  // Nobody waits for it, and its rejection would end the process.
  if (value instanceof Promise) value.catch(() => {})
  const prototype: unknown = Array.isArray(value) ? null : Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null ? undefined : `an instance of ${value.constructor?.name ?? 'a class'}`
}

/** The value of {@link toText}. */
export function fromText(json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json)
}

function errorOf({ name, message, ...rest }: Extract<Answer, { error: unknown }>['error']): Error {
  return Object.assign(new Error(message), { name, ...rest })
}
