import { Readable } from 'node:stream'
import { oneOf, text } from '../config-shape.ts'
import type { GatewayRequest, GatewayResponse, Interceptor } from '../exchange.ts'
import { headerValues } from '../headers.ts'
import { readOpenApi } from '../openapi/document.ts'
import { type BodyRule, type Operation, operationsOf } from '../openapi/operations.ts'
import { checkParameters } from '../openapi/parameters.ts'
import { type Finding, mostFindings } from '../openapi/schemas.ts'
import { problem } from '../problem.ts'
import { heldBody, type RequestBody } from '../request-body.ts'
import type { RouteTable } from '../route-table.ts'
import type { Plugin } from './plugin.ts'

/** Lets only requests pass that a document of OpenAPI allows. */
export interface RequestValidatorConfig {
  /** A document of OpenAPI 3.1, YAML or JSON; relative to the gateway file. Read again at each reload. */
  openapi: string
  /** What the paths of requests have before those of the document: `/api`. Default: nothing. */
  base_path?: string
  /** What becomes of a request that the document does not know. Default `refuse`: 404, or 405 where another method is known. */
  unknown?: 'refuse' | 'pass'
}

const path = text('a path as in "/api"', (value) => /^\/[^{}?#]*[^/{}?#]$/.test(value))

export const requestValidator: Plugin<RequestValidatorConfig> = {
  config: {
    kind: 'map',
    keys: {
      openapi: { shape: text('the path of a file, relative to this one'), required: true, about: 'a document of OpenAPI 3.1' },
      base_path: { shape: path, about: 'what paths of requests have before those of the document' },
      unknown: { shape: oneOf('refuse', 'pass'), about: 'what becomes of a request that the document does not know' },
    },
  },
  shared: true,
  files: ({ openapi }) => [openapi],
  create({ openapi, base_path: base = '', unknown = 'refuse' }, { textOf }): Interceptor {
    const operations = operationsOf(readOpenApi(textOf(openapi), openapi))
    return (next) => async (request) => {
      const found = find(operations, request, base)
      if (!('operation' in found)) return unknown === 'pass' ? next(request) : refusedUnknown(request, found.allow)
      const { operation, params } = found
      const findings = checkParameters(operation.parameters, request, params)
      const checked = await checkBody(operation.body, request)
      if ('refused' in checked) return checked.refused
      const all = [...findings, ...checked.findings]
      return all.length === 0 ? next(checked.body ? { ...request, body: checked.body } : request) : refusedFindings(all)
    }
  },
}

type Found = { readonly operation: Operation; readonly params: Readonly<Record<string, string>> } | { readonly allow: readonly string[] }

function find(operations: RouteTable<Operation>, { method, path: whole, query, headers }: GatewayRequest, base: string): Found {
  if (base !== '' && whole !== base && !whole.startsWith(`${base}/`)) return { allow: [] }
  const answer = operations.match({ method, host: '', path: whole.slice(base.length) || '/', query, rawHeaders: headers })
  return answer.route ? { operation: answer.route, params: answer.params } : { allow: answer.allow }
}

type Checked =
  | { readonly findings: readonly Finding[] /** Read, to be sent on. */; readonly body: RequestBody | undefined }
  | { readonly refused: GatewayResponse }

async function checkBody(rule: BodyRule | undefined, request: GatewayRequest): Promise<Checked> {
  const nothing = { findings: [], body: undefined }
  if (!rule) return nothing
  if (request.body.length === 0) {
    return rule.isRequired ? { ...nothing, findings: [{ in: 'body', at: '', message: 'is missing' }] } : nothing
  }
  const [said = '', ...others] = headerValues(request.headers, 'content-type')
  // Which of two a service would take is a matter of luck, and one of them may have no schema.
  if (others.length > 0) return { refused: refusedType(rule, 'the request has more than one Content-Type') }
  const type = said.split(';')[0]?.trim().toLowerCase() ?? ''
  const fitting = typeFor(rule, type)
  if (!fitting) return { refused: refusedType(rule, `the body is ${type === '' ? 'of no type' : `of the type ${JSON.stringify(type)}`}`) }
  if (!fitting.check) return nothing
  const bytes = await wholeOf(request.body)
  const body = heldBody(bytes)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return { findings: [{ in: 'body', at: '', message: 'is not JSON in UTF-8' }], body }
  }
  return { findings: fitting.check(value), body }
}

/** The type itself before `application/*` before any. */
function typeFor({ types }: BodyRule, type: string): BodyRule['types'][number] | undefined {
  const wanted = [type, `${type.split('/')[0]}/*`, '*/*']
  return wanted.map((each) => types.find((one) => one.type.split(';')[0]?.trim() === each)).find((one) => one !== undefined)
}

/** No longer than the route lets it be. */
async function wholeOf(body: RequestBody): Promise<Uint8Array> {
  const opened = await body.open()
  if (!(opened instanceof Readable)) return opened ?? new Uint8Array()
  const chunks: Buffer[] = []
  for await (const chunk of opened) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function refusedUnknown({ method, path: whole }: GatewayRequest, allow: readonly string[]): GatewayResponse {
  if (allow.length === 0) return problem({ status: 404, code: 'ERR_OPERATION_UNKNOWN', detail: `there is no operation at ${whole}` })
  const detail = `${whole} does not take ${method}`
  return problem({ status: 405, code: 'ERR_METHOD_NOT_ALLOWED', detail, headers: ['allow', allow.join(', ')] })
}

function refusedType({ types }: BodyRule, why: string): GatewayResponse {
  const wanted = types.map((one) => one.type).join(', ')
  return problem({ status: 415, code: 'ERR_BODY_TYPE', detail: `${why}, wanted ${wanted}`, headers: ['accept', wanted] })
}

function refusedFindings(findings: readonly Finding[]): GatewayResponse {
  const [first] = findings
  const detail = `${first?.in} ${first?.at} ${first?.message}`.replace(/\s+/g, ' ')
  const rest = findings.length > 1 ? `, and ${findings.length - 1} more` : ''
  return problem({ status: 400, code: 'ERR_REQUEST_SCHEMA', detail: `${detail}${rest}`, more: { errors: findings.slice(0, mostFindings) } })
}
