import { messageOf, type Operation } from '@banyan/core'
import { ServiceError } from './errors.ts'
import { KEY, KEY_HEADER } from './transport.ts'

/** What a caller passes, before its types are known. */
export interface CallInput {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: unknown
  readonly body?: unknown
  readonly key?: string
}

/**
 * What of a call is text: its path and its body.
 *
 * @throws {ServiceError} `ERR_REQUEST_INVALID` for what cannot be sent. Found out on its way, a key with a line break would end the
 *   connection that others share
 */
export function textsOf(name: string, operation: Operation, input: CallInput): { path: string; body: string | undefined } {
  const { body, key } = input
  if (key !== undefined && !KEY.test(key))
    throw unsendable(name, `"key" is ${JSON.stringify(key)}, wanted 1 to 255 visible ASCII characters`)
  try {
    return { path: pathOf(name, operation, input), body: body === undefined ? undefined : JSON.stringify(body) }
  } catch (error) {
    throw error instanceof ServiceError ? error : unsendable(name, `it cannot be written as text: ${messageOf(error)}`, error)
  }
}

function unsendable(name: string, what: string, cause?: unknown): ServiceError {
  return new ServiceError('ERR_REQUEST_INVALID', `cannot call ${name}: ${what}`, { status: 400, cause })
}

/**
 * The path and query of a call.
 *
 * @throws {ServiceError} `ERR_REQUEST_INVALID` for a parameter that is missing or cannot stand in a path
 */
export function pathOf(name: string, operation: Operation, { params = {}, query }: CallInput): string {
  const { path: template } = operation
  const path = template.includes('{')
    ? template.replace(/\{([^}]+)\}/g, (_, parameter: string) => segment(name, parameter, params[parameter]))
    : template
  // The parameters are encoded; what is left are the contract's own words.
  const encoded = path.replace(/[^\x21-\x7e]+/g, encodeURIComponent)
  const search = query === undefined ? '' : queryOf(name, query)
  return search === '' ? encoded : `${encoded}?${search}`
}

/** The headers that do not change from attempt to attempt; new ones each time, for the caller to add to. */
export function headersOf(operation: Operation, { body, key }: CallInput): Record<string, string> {
  const headers: Record<string, string> = { accept: 'application/json, application/problem+json' }
  if (operation.body && body !== undefined) headers['content-type'] = 'application/json'
  if (key !== undefined) headers[KEY_HEADER] = key
  return headers
}

/** A dot or two would be taken as "here" and "up" by whatever reads the path on its way. */
function segment(name: string, parameter: string, value: string | undefined): string {
  // Half of a pair of surrogates is no character, and has no bytes.
  if (value === undefined || value === '' || value === '.' || value === '..' || /\p{Surrogate}/u.test(value))
    throw unsendable(name, `the path parameter "${parameter}" is ${JSON.stringify(value)}, wanted a text that can stand in a path`)
  return encodeURIComponent(value)
}

function queryOf(name: string, query: unknown): string {
  const search = new URLSearchParams()
  for (const [field, value] of Object.entries(query ?? {})) {
    // No text says null: "null" would come out as a text, and one that fits most schemas.
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined && one !== null) search.append(field, queryText(name, field, one))
  }
  return search.toString()
}

/** A time as in JSON, as its own text has no milliseconds; what has no text of its own is not sent as "[object Object]". */
function queryText(name: string, field: string, value: unknown): string {
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'object' && (value?.toString ?? Object.prototype.toString) === Object.prototype.toString)
    throw unsendable(name, `the field "${field}" of its query has an object, wanted texts, numbers and the like`)
  return String(value)
}
