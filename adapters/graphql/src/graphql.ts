import type { Api, Component } from '@banyan/core'
import {
  type CallInput,
  type HttpContext,
  OPERATION_TIMEOUT_MS,
  problemOf,
  problemResponse,
  readBody,
  type ServiceContext,
  ServiceError,
  servedCall,
  timeoutOf,
} from '@banyan/service/internal'
import { contractSchema, type OperationField } from './contract-schema.ts'
import { GraphqlError, problemError } from './errors.ts'
import { queryLimits } from './query-limits.ts'
import { yogaServer } from './yoga-server.ts'

export interface GraphqlOptions {
  /** What is served, by the operations that have GraphQL among their protocols; several make one schema. Each must be served by `serve` before. */
  contracts: readonly Api[]
  /** Where, on the service's HTTP server. Default `/graphql`. The registry tells the others as `graphql-path`. */
  path?: `/${string}`
  /** Whether callers may ask for the schema. Default false: what is not needed is not there. */
  introspection?: boolean
  /** How long one request may take, all its fields together, milliseconds. A caller's `x-timeout-ms` makes it shorter. Default 10,000. */
  timeoutMs?: number
  /** Larger bodies are refused with 413, bytes. Default 100 KiB. */
  maxBodyBytes?: number
  /** How deep fields may stand in one another. Default 10. */
  maxDepth?: number
  /** How many fields one operation may have, those of fragments counted at each use. Default 500. */
  maxFields?: number
  /** Default 20. */
  maxAliases?: number
  /** How many operations of the contracts one request may call. Default 20. */
  maxCalls?: number
  /** How many words and signs a document may have. Default 2,000. */
  maxTokens?: number
  /** How many operations may come in one body, as a list. Default 1: no batches. */
  maxBatch?: number
}

/** What the fields of one request share. */
interface RequestContext extends Record<string, unknown> {
  readonly headers: Readonly<Record<string, string>>
  readonly signal: () => AbortSignal
  readonly remainingMs: () => number
}

/**
 * Serves contracts over GraphQL at a path of the service's HTTP server. A field is answered by the service's endpoint: same validation,
 * deadline, trace, metrics and log as over HTTP. Where one fails the others have their answers, and `errors[].extensions` says `code` and
 * `status`; a refusal has `refused` besides. Only POST with `application/json` is taken, which no form of another site can send.
 *
 * `start` throws {@link GraphqlError} `ERR_GRAPHQL_CONTRACT` when the service does not serve what is to be served.
 *
 * @throws {GraphqlError} `ERR_GRAPHQL_CONTRACT`
 * @throws {RangeError} for an option out of range
 */
export function graphql(options: GraphqlOptions): Component<ServiceContext> {
  const settings = settingsOf(options)
  const { contracts, path } = settings
  // What the schema says depends on the contracts alone: a mistake in them is said before anything starts.
  contractSchema(contracts, async () => undefined)
  return {
    name: 'graphql',
    async start(context) {
      assertServed(contracts, context)
      const schema = contractSchema<RequestContext>(contracts, (field, input, request) => resolveField(context, field, input, request))
      const server = yogaServer<RequestContext>({ ...settings, schema, limits: queryLimits(settings), log: context.log })
      context.http.all(path, async (http) => {
        try {
          const request = await readRequest(http, settings.maxBodyBytes)
          const answer = await server.fetch(request, requestContext(http, context, settings.timeoutMs))
          return new Response(await answer.text(), { status: answer.status, headers: answer.headers })
        } catch (error) {
          const { status, headers, body } = problemResponse({ ...problemOf(error), instance: path })
          if (status >= 500) context.log.error({ error }, `GraphQL of "${context.service}" failed`)
          return new Response(body, { status, headers })
        }
      })
      context.announce({ 'graphql-path': path })
    },
    async stop() {},
  }
}

function settingsOf(options: GraphqlOptions) {
  const { contracts, path = '/graphql', introspection = false } = options
  const { maxDepth = 10, maxFields = 500, maxAliases = 20, maxCalls = 20, maxTokens = 2_000, maxBatch = 1 } = options
  const { timeoutMs = 10_000, maxBodyBytes = 100 * 1024 } = options
  const numbers = { timeoutMs, maxBodyBytes, maxDepth, maxFields, maxAliases, maxCalls, maxTokens, maxBatch }
  if (!path.startsWith('/')) throw new RangeError(`cannot serve GraphQL: "path" is "${path}", wanted one that starts with "/"`)
  for (const [option, value] of Object.entries(numbers)) {
    if (!(Number.isInteger(value) && value >= 1))
      throw new RangeError(`cannot serve GraphQL: "${option}" is ${value}, wanted a whole number from 1`)
  }
  return { contracts, path, introspection, ...numbers }
}

function assertServed(contracts: readonly Api[], { endpoint, service }: ServiceContext): void {
  const names = contracts.flatMap((api) => Object.keys(api.operations).map((operation) => `${api.name}.${operation}`))
  const missing = names.find((name) => !endpoint.serves(name))
  if (missing === undefined) return
  const message = `cannot serve "${missing}" over GraphQL: the service "${service}" does not answer it; add serve() of its contract before graphql()`
  throw new GraphqlError('ERR_GRAPHQL_CONTRACT', message)
}

/**
 * The request with its body read, bounded.
 *
 * @throws {ServiceError} `ERR_METHOD_NOT_ALLOWED`, `ERR_CONTENT_TYPE`, `ERR_BODY_TOO_LARGE`, `ERR_BODY_INCOMPLETE`, `ERR_JSON_INVALID`
 */
async function readRequest({ req }: HttpContext, maxBodyBytes: number): Promise<Request> {
  if (req.method !== 'POST') {
    throw new ServiceError('ERR_METHOD_NOT_ALLOWED', `GraphQL takes POST alone, not ${req.method}`, {
      status: 405,
      headers: { allow: 'POST' },
    })
  }
  const type = req.header('content-type') ?? ''
  // A form of another site cannot send this type without asking first, and is not let in then (CSRF).
  if (!/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(type)) {
    throw new ServiceError('ERR_CONTENT_TYPE', `the header "Content-Type" is "${type}", wanted "application/json" in UTF-8`, {
      status: 415,
    })
  }
  const body = (await readBody(req, maxBodyBytes)) ?? ''
  const headers = { 'content-type': 'application/json', accept: req.header('accept') ?? 'application/json' }
  return new Request(new URL(req.path, 'http://localhost'), { method: 'POST', headers, body })
}

/** @throws {ServiceError} `ERR_TIMEOUT_INVALID` (400) */
function requestContext({ req }: HttpContext, { world }: ServiceContext, timeoutMs: number): RequestContext {
  const headers = req.header()
  const deadline = world.monotonic() + Math.min(timeoutMs, timeoutOf(headers, timeoutMs))
  return { headers, signal: () => req.raw.signal, remainingMs: () => deadline - world.monotonic() }
}

async function resolveField(
  { endpoint, service }: ServiceContext,
  { operationName, operation }: OperationField,
  input: CallInput,
  { headers, signal, remainingMs }: RequestContext,
): Promise<unknown> {
  const response = await answered()
  if (response.status >= 400) throw problemError(response)
  return response.body === '' ? true : JSON.parse(response.body)

  async function answered() {
    try {
      const timeoutMs = Math.min(remainingMs(), operation.timeoutMs ?? OPERATION_TIMEOUT_MS)
      const { 'idempotency-key': _, ...others } = headers
      return await endpoint.over('graphql')(
        servedCall({ service, name: operationName, operation, input, headers: others, signal, timeoutMs }),
      )
    } catch (error) {
      return problemResponse(problemOf(error))
    }
  }
}
