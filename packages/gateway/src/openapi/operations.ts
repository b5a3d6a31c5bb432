import { type RouteTable, routeTable } from '../route-table.ts'
import { escaped, invalid, isJson, type OpenApiDocument, resolved } from './document.ts'
import { isJsonType, type Parameter, parametersOf } from './parameters.ts'
import { type Check, type Schemas, schemasOf } from './schemas.ts'

/** One operation of a document. */
export interface Operation {
  readonly path: string
  readonly exact: true
  readonly methods: readonly string[]
  readonly hosts: readonly string[]
  readonly parameters: readonly Parameter[]
  readonly body: BodyRule | undefined
}

/** What the body of a request must be. */
export interface BodyRule {
  readonly isRequired: boolean
  /** In the order of the document; `check` where the type is JSON. */
  readonly types: readonly { readonly type: string; readonly check: Check | undefined }[]
}

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options']

/**
 * The operations of a document, found by method and path.
 *
 * @throws {GatewayError} `ERR_CONFIG_INVALID`
 */
export function operationsOf(document: OpenApiDocument): RouteTable<Operation> {
  const schemas = schemasOf(document)
  const paths = Object.keys(document.root.paths as object)
  return routeTable(paths.filter((path) => path.startsWith('/')).flatMap((path) => operationsAt(document, schemas, path)))
}

function operationsAt(document: OpenApiDocument, schemas: Schemas, path: string): Operation[] {
  const { part: item, where } = resolved(document, (document.root.paths as Record<string, unknown>)[path], `/paths/${escaped(path)}`)
  if (/\{[^}]*\}[^/]|[^/]\{/.test(path))
    throw invalid(document.file, `/paths/${escaped(path)} has a parameter that is a part of a segment; wanted whole segments`)
  return METHODS.filter((method) => method in item).map((method) => {
    const { part, where: at } = resolved(document, item[method], `${where}/${method}`)
    const ofPath = { list: item.parameters, where: `${where}/parameters` }
    return {
      ...{ path, exact: true, methods: [method.toUpperCase()], hosts: [] },
      parameters: parametersOf(document, schemas, ofPath, { list: part.parameters, where: `${at}/parameters` }),
      body: part.requestBody === undefined ? undefined : bodyRule(document, schemas, part.requestBody, `${at}/requestBody`),
    }
  })
}

function bodyRule(document: OpenApiDocument, schemas: Schemas, body: unknown, at: string): BodyRule {
  const { part, where } = resolved(document, body, at)
  if (!isJson(part.content)) throw invalid(document.file, `${where} needs "content"`)
  const types = Object.entries(part.content).map(([type, media]) => {
    const hasSchema = isJsonType(type) && isJson(media) && media.schema !== undefined
    return { type: type.toLowerCase(), check: hasSchema ? schemas.body(`${where}/content/${escaped(type)}/schema`) : undefined }
  })
  return { isRequired: part.required === true, types }
}
