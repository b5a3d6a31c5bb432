import type { Refusal } from './refusal.ts'
import type { InputOf, OutputOf, Schema } from './schema.ts'
import { shown } from './shown.ts'

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** The ways an operation can be called from outside. Inside one process every operation can be called. */
export type Protocol = 'http' | 'grpc' | 'graphql'

/** HTTP alone, unless an operation says otherwise. */
const DEFAULT_PROTOCOLS: readonly Protocol[] = ['http']
const PROTOCOLS: readonly string[] = ['http', 'grpc', 'graphql']

/** One operation of a contract. */
export interface Operation {
  readonly method: HttpMethod
  /** `/orders/{id}`: parameters in braces, one a segment. */
  readonly path: `/${string}`
  readonly summary?: string
  /** The query string, as an object of texts before the schema. */
  readonly query?: Schema
  /** The JSON body. */
  readonly body?: Schema
  /** The JSON answer. Left out: no content. */
  readonly response?: Schema
  /** The status of a good answer. Default 200 with a response, 204 without. */
  readonly status?: number
  /** The business refusals this operation may answer with (409, problem details with this code). */
  readonly refusals?: readonly string[]
  /** Whether a call carries an `Idempotency-Key`, which makes it safe to repeat. Default `none`. */
  readonly idempotencyKey?: 'required' | 'optional' | 'none'
  /** How long a call may take by default, milliseconds. Default 5,000. */
  readonly timeoutMs?: number
  /** How it can be called; the service adds what serves each (`@banyan/grpc`, `@banyan/graphql`). Default `['http']`. */
  readonly protocols?: readonly Protocol[]
}

export type Operations = Readonly<Record<string, Operation>>

/** The contract of a service: what servers serve and clients call, both typed by it. */
export interface Api<Name extends string = string, Ops extends Operations = Operations> {
  /** The service that serves it, as discovery knows it. */
  readonly name: Name
  readonly version: number
  readonly operations: Ops
}

/** The names in braces of a path: `'id'` of `/orders/{id}`. */
export type PathParameter<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}` ? Name | PathParameter<Rest> : never

type Empty = Record<never, never>
type ParamsPart<O extends Operation> = [PathParameter<O['path']>] extends [never]
  ? Empty
  : { params: Record<PathParameter<O['path']>, string> }
type SchemaPart<Name extends string, S> = S extends Schema
  ? undefined extends InputOf<S>
    ? { [K in Name]?: InputOf<S> }
    : { [K in Name]: InputOf<S> }
  : Empty
type KeyPart<O extends Operation> = O['idempotencyKey'] extends 'required'
  ? { key: string }
  : O['idempotencyKey'] extends 'optional'
    ? { key?: string }
    : Empty

/** What a caller passes: `{ params, query, body, key }`, as far as the operation has them. */
export type OperationInput<O extends Operation> = ParamsPart<O> &
  SchemaPart<'query', O['query']> &
  SchemaPart<'body', O['body']> &
  KeyPart<O>

/** The refusals of an operation, typed by their reasons. */
export type RefusalOf<O extends Operation> = O extends { readonly refusals: readonly (infer Reason extends string)[] }
  ? Refusal<Reason>
  : never

/** What a caller gets: the response after its schema, or a refusal. */
export type OperationOutput<O extends Operation> = (O['response'] extends Schema ? OutputOf<O['response']> : void) | RefusalOf<O>

/** What a handler gives back: what the response's schema accepts, or a refusal. */
export type OperationAnswer<O extends Operation> = (O['response'] extends Schema ? InputOf<O['response']> : void) | RefusalOf<O>

/** What a handler gets, checked. */
export interface OperationRequest<O extends Operation> {
  readonly params: Readonly<Record<PathParameter<O['path']>, string>>
  readonly query: O['query'] extends Schema ? OutputOf<O['query']> : undefined
  readonly body: O['body'] extends Schema ? OutputOf<O['body']> : undefined
  /** The `Idempotency-Key`. */
  readonly key: O['idempotencyKey'] extends 'required' ? string : string | undefined
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Declares a contract.
 *
 * @throws {TypeError} for a path that does not start with `/` or has braces around less than a segment, a method that cannot have a
 *   body but does, protocols that are none, or two operations with one method and path
 * @throws {RangeError} for a `timeoutMs` or a `status` out of range
 */
export function api<const Name extends string, const Ops extends Operations>(
  name: Name,
  options: { version?: number; operations: Ops },
): Api<Name, Ops> {
  const { version = 1, operations } = options
  const seen = new Map<string, string>()
  for (const [operation, declared] of Object.entries<Operation>(operations)) {
    const { method, path, body, protocols = DEFAULT_PROTOCOLS } = declared
    const action = `cannot declare operation "${operation}" of api "${name}"`
    const fail = (what: string) => new TypeError(`${action}: ${what}`)
    if (!path.startsWith('/')) throw fail(`the path "${path}" does not start with "/"`)
    if (body && method === 'GET') throw fail('a GET has no body')
    const stranger = protocols.find((protocol) => !PROTOCOLS.includes(protocol))
    if (stranger) throw fail(`"protocols" has "${stranger}", wanted http, grpc or graphql`)
    if (protocols.length === 0) throw fail('"protocols" is empty, so nobody could call it')
    const braces = path.split('/').filter((segment) => /[{}]/.test(segment))
    if (!braces.every((segment) => /^\{[^{}]+\}$/.test(segment)))
      throw fail(`the path "${path}" has braces that are not around a whole segment`)
    const twice = braces.find((segment, index) => braces.indexOf(segment) !== index)
    if (twice) throw fail(`the path "${path}" has "${twice}" twice`)
    checkNumbers(action, declared)
    const route = `${method} ${path.replace(/\{[^}]*\}/g, '{}')}`
    if (seen.has(route)) throw fail(`"${seen.get(route)}" has the same method and path, ${method} ${path}`)
    seen.set(route, operation)
  }
  return { name, version, operations }
}

/** A time that is no number would never be over, for any call of the process that waits for one. */
function checkNumbers(action: string, { timeoutMs = 1, status = 200 }: Operation): void {
  if (!(timeoutMs > 0 && Number.isFinite(timeoutMs)))
    throw new RangeError(`${action}: "timeoutMs" is ${shown(timeoutMs)}, wanted a number above 0`)
  if (!(Number.isInteger(status) && status >= 200 && status <= 299))
    throw new RangeError(`${action}: "status" is ${shown(status)}, wanted a whole number from 200 to 299`)
}

/** Whether an operation can be called over `protocol`. */
export function isServedOver({ protocols = DEFAULT_PROTOCOLS }: Operation, protocol: Protocol): boolean {
  return protocols.includes(protocol)
}

/** Whether a call may be sent twice: a safe or idempotent method (RFC 9110, 9.2), or one that carries a key. */
export function isRepeatable(operation: Operation, key: string | undefined): boolean {
  return key !== undefined || operation.method === 'GET' || operation.method === 'PUT' || operation.method === 'DELETE'
}
