import { LineCounter, parseDocument } from 'yaml'
import { GatewayError } from '../errors.ts'

/** A part of a document: what it is, is looked at where it is used. */
export type Json = Readonly<Record<string, unknown>>

/** A document of OpenAPI, read but for its schemas. */
export interface OpenApiDocument {
  /** For messages. */
  readonly file: string
  readonly root: Json
}

/**
 * Reads a document of OpenAPI 3.1, YAML or JSON.
 *
 * @throws {GatewayError} `ERR_CONFIG_INVALID`, naming file, line and what is wanted
 * @see https://spec.openapis.org/oas/v3.1.1
 */
export function readOpenApi(text: string, file: string): OpenApiDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (error) {
    const { line, col } = lines.linePos(error.pos[0])
    throw invalid(`${file}:${line}:${col}`, `not valid YAML: ${error.message.replace(/\s+/g, ' ')}`)
  }
  // Aliases may not make a small file huge.
  const root: unknown = document.toJS({ maxAliasCount: 1_000 })
  if (!isJson(root)) throw invalid(file, 'not a document of OpenAPI; wanted "openapi: 3.1.0" and "paths"')
  if (typeof root.openapi !== 'string' || !/^3\.1\.\d+$/.test(root.openapi)) {
    throw invalid(file, `"openapi" is ${JSON.stringify(root.openapi) ?? 'missing'}, wanted 3.1.x, whose schemas are JSON Schema`)
  }
  if (!isJson(root.paths)) throw invalid(file, 'it has no "paths"')
  return { file, root }
}

/**
 * A part, or what it refers to in the same document.
 *
 * @param where of the part, as a JSON pointer, for messages
 * @throws {GatewayError} `ERR_CONFIG_INVALID` for a reference to nothing, to itself, or to another document
 */
export function resolved({ file, root }: OpenApiDocument, part: unknown, where: string): { readonly part: Json; readonly where: string } {
  let found = part
  let at = where
  for (let hops = 0; isJson(found) && typeof found.$ref === 'string'; hops += 1) {
    const reference = found.$ref
    if (!reference.startsWith('#/'))
      throw invalid(file, `${at} refers to ${JSON.stringify(reference)}; only "#/..." of the same document is read`)
    if (hops > 20) throw invalid(file, `${where} refers to itself`)
    const keys = keysOf(reference)
    if (!keys) throw invalid(file, `${at} refers to ${JSON.stringify(reference)}, which is no JSON pointer; wanted "%25" for "%"`)
    at = reference.slice(1)
    found = keys.reduce<unknown>((inside, key) => (isJson(inside) && Object.hasOwn(inside, key) ? inside[key] : undefined), root)
  }
  if (isJson(found)) return { part: found, where: at }
  throw invalid(file, `${where} is ${found === undefined ? `nothing (${at})` : 'no map'}`)
}

/** A key as a part of a JSON pointer. @see RFC 6901, section 3 */
export function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The keys that a reference within its document goes by; `undefined` for one with a bad escape. */
function keysOf(reference: string): string[] | undefined {
  try {
    const parts = reference.split('/').slice(1)
    return parts.map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'))
  } catch {
    // decodeURIComponent throws for "%" without two hexadecimal digits, and for bytes that are no UTF-8.
    return undefined
  }
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function invalid(place: string, message: string): GatewayError {
  return new GatewayError('ERR_CONFIG_INVALID', `${place}: ${message}`)
}
