import { codeOf, type World } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import type { Answer, CallLimits } from './attempt.ts'
import type { PartConfig } from './config.ts'
import type { Destination, Target } from './destination.ts'
import { GatewayError } from './errors.ts'
import type { GatewayRequest, GatewayResponse, Handler } from './exchange.ts'
import { headerOf, withoutHeaders } from './headers.ts'
import { problem, problemOf } from './problem.ts'
import { fillPath, withClientTimeout } from './proxy.ts'
import { readText } from './read-text.ts'
import { noBody } from './request-body.ts'
import { dropAnswer } from './upstream-client.ts'

/** A part larger than this is a mistake. */
const maxPartBytes = 1_048_576

interface Part {
  readonly name: string
  readonly config: PartConfig
  readonly destination: Destination
}

/** How a part ended. */
type PartResult =
  | { readonly name: string; readonly status: number; readonly value: unknown }
  | { readonly name: string; readonly status: number; readonly error: string; readonly problem: GatewayResponse | undefined }

/**
 * The end of a route with `aggregate`: asks all parts at once and puts their JSON into one object in the order of the file. A part
 * that cannot be had is null, and `_parts` says why; without a required one the answer is its status.
 */
export function aggregateHandler(
  parts: Readonly<Record<string, PartConfig>>,
  limits: CallLimits,
  destinationOf: (target: Target) => Destination,
  world: World,
): Handler {
  const wanted = Object.entries(parts).map(([name, config]): Part => {
    const target = config.service === undefined ? { url: config.url ?? '' } : { service: config.service }
    return { name, config, destination: destinationOf(target) }
  })
  const required = new Set(wanted.filter(({ config }) => config.required).map(({ name }) => name))

  return async (request) => {
    if (request.isUpgrade) throw new GatewayError('ERR_UPGRADE_REFUSED', 'this path has no WebSocket', { status: 400 })
    // One missing required part decides: the others are not waited for.
    const stop = new Cancellation(world)
    const onGone = { onAbort: (reason: unknown) => stop.abort(reason) }
    request.cancellation.listen(onGone)
    const asked = wanted.map(async (part) => {
      const result = await ask(part, request, withClientTimeout(limits, request), stop, world)
      if ('error' in result && required.has(part.name)) throw new RequiredPartMissing(result)
      return result
    })
    try {
      return together(await Promise.all(asked))
    } catch (error) {
      stop.abort(error)
      await Promise.allSettled(asked)
      if (error instanceof RequiredPartMissing) return missing(error.part)
      throw error
    } finally {
      request.cancellation.unlisten(onGone)
    }
  }
}

type FailedPart = Extract<PartResult, { error: string }>

class RequiredPartMissing extends Error {
  readonly part: FailedPart

  constructor(part: FailedPart) {
    super(`the part "${part.name}" is missing`)
    this.part = part
  }
}

async function ask(
  { name, config, destination }: Part,
  request: GatewayRequest,
  limits: CallLimits,
  cancellation: Cancellation,
  world: World,
): Promise<PartResult> {
  const startedAt = world.monotonic()
  const timeoutMs = Math.min(config.timeout_ms ?? limits.timeoutMs, limits.timeoutMs)
  const call = {
    method: 'GET',
    path: `${destination.basePath}${fillPath(config.path, request.params)}`,
    headers: [...withoutHeaders(request.headers, isAboutWhole), 'accept', 'application/json'],
    body: noBody,
    limits: {
      ...limits,
      timeoutMs,
      tryTimeoutMs: Math.min(limits.tryTimeoutMs, config.timeout_ms ?? limits.tryTimeoutMs),
      idleTimeoutMs: timeoutMs,
    },
  }
  try {
    const answer = await destination.call(call, true, cancellation)
    const late = new GatewayError('ERR_UPSTREAM_TIMEOUT', `"${destination.name}" took too long to answer`, { status: 504 })
    const timer = world.after(startedAt + timeoutMs - world.monotonic(), () => dropAnswer(answer, late))
    const text = await readText(answer.body, maxPartBytes).finally(() => timer.cancel())
    return resultOf(name, answer, text)
  } catch (error) {
    if (request.cancellation.aborted) throw error
    const response = problemOf(error)
    const status = response.status === 500 ? 502 : response.status
    return {
      name,
      status,
      error: WHY[status] ?? 'failed',
      problem: codeOf(error) === undefined || response.status === 500 ? undefined : response,
    }
  }
}

function resultOf(name: string, { status, headers }: Answer, text: string): PartResult {
  const isJson = /^application\/(?:[\w.+-]+\+)?json\b/i.test(headerOf(headers, 'content-type') ?? '')
  const value = isJson ? parsed(text) : undefined
  if (status >= 200 && status < 300) {
    if (value !== undefined) return { name, status, value: value.json }
    return { name, status: 502, error: 'invalid', problem: undefined }
  }
  // A redirect or a 1xx is no part.
  const shown = status >= 400 ? status : 502
  const passed =
    status >= 400 && value !== undefined ? { status, headers: ['content-type', 'application/problem+json'], body: text } : undefined
  return { name, status: shown, error: WHY[shown] ?? (shown >= 500 ? 'failed' : 'refused'), problem: passed }
}

function together(results: readonly PartResult[]): GatewayResponse {
  const body: Record<string, unknown> = {}
  const parts: Record<string, { status: number; error?: string }> = {}
  for (const result of results) {
    body[result.name] = 'error' in result ? null : result.value
    parts[result.name] = 'error' in result ? { status: result.status, error: result.error } : { status: result.status }
  }
  // Other callers must not get what was put together for this one.
  return {
    status: 200,
    headers: ['content-type', 'application/json', 'cache-control', 'private, no-store'],
    body: JSON.stringify({ ...body, _parts: parts }),
  }
}

function missing({ name, status, problem: own }: FailedPart): GatewayResponse {
  const inner = typeof own?.body === 'string' ? parsed(own.body)?.json : undefined
  const { code, detail } = typeof inner === 'object' && inner !== null ? (inner as { code?: unknown; detail?: unknown }) : {}
  const reason = typeof detail === 'string' ? `: ${detail}` : ''
  const wait = own && headerOf(own.headers, 'retry-after')
  return problem({
    status,
    code: typeof code === 'string' ? code : 'ERR_PART_FAILED',
    detail: `the part "${name}" cannot be had${reason}`,
    more: { part: name },
    ...(wait !== undefined && { retryAfterMs: Number(wait) * 1_000 }),
  })
}

/** Headers about the one answer that the client wants, not about the parts; and those that would let a part come compressed. */
function isAboutWhole(name: string): boolean {
  return /^(?:accept|accept-encoding|content-.*|expect|host|if-.*|range|idempotency-key|x-timeout-ms)$/.test(name)
}

const WHY: Readonly<Record<number, string>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not found',
  429: 'too many requests',
  502: 'failed',
  503: 'unavailable',
  504: 'timeout',
}

function parsed(text: string): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) }
  } catch {
    // Not JSON whatever its content type says; the caller treats that as an invalid part.
    return undefined
  }
}
