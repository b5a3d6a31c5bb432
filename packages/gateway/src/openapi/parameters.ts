import type { GatewayRequest } from '../exchange.ts'
import { headerValues } from '../headers.ts'
import { escaped, invalid, isJson, type Json, type OpenApiDocument, resolved } from './document.ts'
import type { Check, Finding, Schemas } from './schemas.ts'

const PLACES = ['path', 'query', 'header', 'cookie'] as const
type Place = (typeof PLACES)[number]

/** A parameter of an operation. */
export interface Parameter {
  readonly name: string
  readonly place: Place
  readonly isRequired: boolean
  /** How its texts become a value. */
  readonly style: 'one' | 'each' | 'by comma' | 'json' | 'unread'
  readonly check: Check | undefined
}

/** Headers that OpenAPI leaves to others. @see OpenAPI 3.1, "Parameter Object" */
const IGNORED_HEADERS: ReadonlySet<string> = new Set(['accept', 'content-type', 'authorization'])

/** The parameters of an operation: those of its path too, where it has not its own of the same name. */
export function parametersOf(document: OpenApiDocument, schemas: Schemas, ofPath: Listed, ofOperation: Listed): Parameter[] {
  const known = new Map<string, Parameter>()
  for (const { list, where } of [ofPath, ofOperation]) {
    if (list === undefined) continue
    if (!Array.isArray(list)) throw invalid(document.file, `${where} is no list`)
    for (const [index, each] of list.entries()) {
      const one = parameterOf(document, schemas, each, `${where}/${index}`)
      if (one) known.set(`${one.place} ${one.name}`, one)
    }
  }
  return [...known.values()]
}

export interface Listed {
  readonly list: unknown
  readonly where: string
}

function parameterOf(document: OpenApiDocument, schemas: Schemas, each: unknown, at: string): Parameter | undefined {
  const { part, where } = resolved(document, each, at)
  const place = PLACES.find((one) => one === part.in)
  const { name } = part
  if (typeof name !== 'string' || !place) throw invalid(document.file, `${where} needs "name" and "in": one of ${PLACES.join(', ')}`)
  if (place === 'header' && IGNORED_HEADERS.has(name.toLowerCase())) return undefined
  const isRequired = part.required === true || place === 'path'
  if (isJson(part.content)) {
    const [type] = Object.keys(part.content)
    const hasSchema = type !== undefined && isJsonType(type)
    const check = hasSchema ? schemas.body(`${where}/content/${escaped(type)}/schema`) : undefined
    return { name, place, isRequired, style: hasSchema ? 'json' : 'unread', check: check && named(check, place, name) }
  }
  if (!isJson(part.schema)) return { name, place, isRequired, style: 'unread', check: undefined }
  const schema = resolved(document, part.schema, `${where}/schema`)
  const style = styleOf(part, place, schema.part)
  return { name, place, isRequired, style, check: style === 'unread' ? undefined : schemas.parameter(`${where}/schema`, place, name) }
}

/** Of objects there are many spellings, and few use them: they are not looked into. */
function styleOf({ style, explode }: Json, place: Place, schema: Json): Parameter['style'] {
  const types = Array.isArray(schema.type) ? schema.type : [schema.type]
  if (types.includes('object') || 'properties' in schema) return 'unread'
  if (!types.includes('array')) return 'one'
  if (place === 'query' && (style === undefined || style === 'form')) return explode === false ? 'by comma' : 'each'
  return style === undefined || style === 'simple' ? 'by comma' : 'unread'
}

function named(check: Check, place: string, name: string): Check {
  return (value) => check(value).map(({ at, message }) => ({ in: place, at: name, message: at === '' ? message : `${at} ${message}` }))
}

export function isJsonType(type: string): boolean {
  return /^application\/(?:[\w.-]+\+)?json$/i.test(type)
}

/** What is wrong with the parameters of a request. */
export function checkParameters(
  parameters: readonly Parameter[],
  request: Pick<GatewayRequest, 'query' | 'headers'>,
  params: Readonly<Record<string, string>>,
): Finding[] {
  const query = new URLSearchParams(request.query)
  return parameters.flatMap((parameter) => checkOne(parameter, textsOf(parameter, request, params, query)))
}

function textsOf(
  { name, place }: Parameter,
  { headers }: Pick<GatewayRequest, 'headers'>,
  params: Readonly<Record<string, string>>,
  query: URLSearchParams,
): string[] {
  if (place === 'query') return query.getAll(name)
  if (place === 'header') return headerValues(headers, name.toLowerCase())
  if (place === 'path') return params[name] === undefined ? [] : [decoded(params[name])]
  const cookies = headerValues(headers, 'cookie').flatMap((value) => value.split(';').map((each) => each.trim()))
  return cookies.filter((each) => each.startsWith(`${name}=`)).map((each) => decoded(each.slice(name.length + 1)))
}

function checkOne({ name, place, isRequired, style, check }: Parameter, texts: readonly string[]): readonly Finding[] {
  const finding = (message: string) => [{ in: place, at: name, message }]
  const [first] = texts
  if (first === undefined) return isRequired ? finding('is missing') : []
  if (!check) return []
  if (style === 'each') return check([...texts])
  // Which of two a service would take is a matter of luck.
  if (texts.length > 1) return finding('stands more than once')
  if (style === 'by comma') return check(first.split(','))
  if (style === 'one') return check(first)
  try {
    return check(JSON.parse(first))
  } catch {
    return finding('is not JSON')
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
