import type { Operation } from '@banyan/core'
import { ServiceError } from './errors.ts'
import { KEY_HEADER } from './transport.ts'

/** What a caller passes, before its types are known. */
export interface CallInput {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: unknown
  readonly body?: unknown
  readonly key?: string
}

/**
 * The path and query of a call.
 *
 * @throws {ServiceError} `ERR_REQUEST_INVALID` for a parameter that is missing or cannot stand in a path
 */
export function pathOf(name: string, operation: Operation, { params = {}, query }: CallInput): string {
  const path = operation.path.replace(/\{([^}]+)\}/g, (_, parameter: string) => segment(name, parameter, params[parameter]))
  const search = queryOf(query)
  return search === '' ? path : `${path}?${search}`
}

/** The headers that do not change from attempt to attempt. */
export function headersOf(operation: Operation, { body, key }: CallInput): Record<string, string> {
  return {
    accept: 'application/json, application/problem+json',
    ...(operation.body && body !== undefined && { 'content-type': 'application/json' }),
    ...(key !== undefined && { [KEY_HEADER]: key }),
  }
}

/** A dot or two would be taken as "here" and "up" by whatever reads the path on its way. */
function segment(name: string, parameter: string, value: string | undefined): string {
  if (value === undefined || value === '' || value === '.' || value === '..') {
    throw new ServiceError(
      'ERR_REQUEST_INVALID',
      `cannot call ${name}: the path parameter "${parameter}" is ${JSON.stringify(value)}, wanted a text that can stand in a path`,
      { status: 400 },
    )
  }
  return encodeURIComponent(value)
}

function queryOf(query: unknown): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) search.append(name, String(one))
  }
  return search.toString()
}
