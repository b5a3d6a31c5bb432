import { type Issue, messageOf, type Operation, type Validation } from '@banyan/core'
import { checked } from './checked.ts'
import { ServiceError } from './errors.ts'
import { KEY, KEY_HEADER, type TransportRequest } from './transport.ts'

/** A request as a handler gets it, before its types are known. */
export interface PlainRequest {
  readonly params: Readonly<Record<string, string>>
  readonly query: unknown
  readonly body: unknown
  readonly key: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Reads what a handler needs out of a request, checked against the contract.
 *
 * @throws {ServiceError} `ERR_CONTENT_TYPE` (415), `ERR_JSON_INVALID` (400), `ERR_IDEMPOTENCY_KEY_REQUIRED` or
 *   `ERR_IDEMPOTENCY_KEY_INVALID` (400), `ERR_REQUEST_INVALID` (422) with each field that is wrong
 */
export function readRequest(
  operation: Operation,
  params: Readonly<Record<string, string>>,
  request: TransportRequest,
): PlainRequest | Promise<PlainRequest> {
  const { headers } = request
  const key = readKey(operation, headers)
  const raw = operation.body && readJson(request)
  const query = operation.query ? checked(operation.query, readQuery(request.path)) : NOTHING
  const checkBody = () => (operation.body ? checked(operation.body, raw) : NOTHING)
  // Where the query's check is under way, the body's must not throw: nobody would hear of the other one any more.
  const body = query instanceof Promise ? Promise.resolve().then(checkBody) : checkBody()
  if (query instanceof Promise || body instanceof Promise) {
    return Promise.all([query, body]).then(([late, later]) => ({ params, ...fitting(late, later), key, headers }))
  }
  return { params, ...fitting(query, body), key, headers }
}

const NOTHING: Validation<undefined> = { ok: true, value: undefined }

/** @throws {ServiceError} `ERR_REQUEST_INVALID` */
function fitting(query: Validation<unknown>, body: Validation<unknown>): { query: unknown; body: unknown } {
  if (query.ok && body.ok) return { query: query.value, body: body.value }
  const issues = [...issuesOf(query, 'query'), ...issuesOf(body, 'body')]
  const fields = issues.map(({ path, message }) => `${path}: ${message}`).join('; ')
  throw new ServiceError('ERR_REQUEST_INVALID', `the request does not fit the contract: ${fields}`, { status: 422, issues })
}

function issuesOf(result: Validation<unknown>, part: 'query' | 'body'): Issue[] {
  if (result.ok) return []
  return result.issues.map(({ path, message }) => ({ path: path ? `${part}.${path}` : part, message }))
}

function readKey(operation: Operation, headers: Readonly<Record<string, string>>): string | undefined {
  const { idempotencyKey = 'none' } = operation
  if (idempotencyKey === 'none') return undefined
  const key = headers[KEY_HEADER]
  if (key === undefined && idempotencyKey === 'optional') return undefined
  if (key === undefined) {
    throw new ServiceError(
      'ERR_IDEMPOTENCY_KEY_REQUIRED',
      'the header "Idempotency-Key" is missing; send one that is new for each intent and the same when you try again, such as a UUID',
      { status: 400 },
    )
  }
  if (!KEY.test(key)) {
    throw new ServiceError('ERR_IDEMPOTENCY_KEY_INVALID', 'the header "Idempotency-Key" is not 1 to 255 visible ASCII characters', {
      status: 400,
    })
  }
  return key
}

/** Texts by name; a name that comes more than once is a list. */
function readQuery(path: string): Record<string, string | string[]> {
  const values = new Map<string, string | string[]>()
  const start = path.indexOf('?')
  for (const [name, value] of new URLSearchParams(start < 0 ? '' : path.slice(start))) {
    const before = values.get(name)
    if (Array.isArray(before)) before.push(value)
    else values.set(name, before === undefined ? value : [before, value])
  }
  return Object.fromEntries(values)
}

const JSON_TYPE = /^application\/(?:[\w.!#$&^-]+\+)?json\s*(?:;\s*charset="?utf-8"?\s*)?$/i

function readJson({ headers, body }: TransportRequest): unknown {
  if (body === undefined || body === '') return undefined
  const type = headers['content-type']
  if (type === undefined || !JSON_TYPE.test(type)) {
    const was = type === undefined ? 'missing' : `"${type}"`
    throw new ServiceError('ERR_CONTENT_TYPE', `the header "Content-Type" is ${was}, wanted "application/json" in UTF-8`, {
      status: 415,
      headers: { 'accept-post': 'application/json' },
    })
  }
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new ServiceError('ERR_JSON_INVALID', `the body is not JSON: ${messageOf(cause)}`, { status: 400, cause })
  }
}
