import { Readable } from 'node:stream'
import type { World } from '@banyan/core'
import type { Picked } from '@banyan/discovery'
import { GatewayError, type GatewayErrorCode } from './errors.ts'
import type { HeaderList } from './headers.ts'
import type { RequestBody } from './request-body.ts'
import { endSpan, startClientSpan, withTraceContext } from './trace.ts'
import type { UpstreamAnswer, UpstreamClient } from './upstream-client.ts'

/** A request to a destination, over all its tries. */
export interface Call {
  readonly method: string
  /** Normalised, with its query. */
  readonly path: string
  /** Without `Content-Length` and `X-Timeout-Ms`: each try has its own. */
  readonly headers: HeaderList
  readonly body: RequestBody
  readonly limits: CallLimits
  /** A WebSocket handshake. */
  readonly isUpgrade?: boolean
  /** Told of a 103. */
  readonly onEarlyHints?: ((headers: HeaderList) => void) | undefined
}

/** All milliseconds, but for `retries`. */
export interface CallLimits {
  /** From the last byte of the request to the head of the answer, over all tries. */
  readonly timeoutMs: number
  readonly tryTimeoutMs: number
  /** The longest pause within the body of the request and of the answer. */
  readonly idleTimeoutMs: number
  readonly retries: number
}

/** The answer of a destination, and who gave it. */
export interface Answer extends UpstreamAnswer {
  /** `orders@127.0.0.1:3001`. */
  readonly upstream: string
}

/** How {@link attempt} is made. */
export interface AttemptOptions {
  readonly call: Call
  /** For messages and traces. */
  readonly destination: string
  /** The service's name in spans. */
  readonly gateway: string
  readonly scheme: 'http' | 'https'
  readonly picked: Picked
  /** 1 for the first. */
  readonly number: number
  /** When the first try began, in `world.monotonic()` time. */
  readonly startedAt: number
  /** The body for this try, opened. */
  readonly body: Awaited<ReturnType<RequestBody['open']>>
  readonly signal: AbortSignal
  readonly client: UpstreamClient
  readonly world: World
}

/** A try that failed, for the layers around it. Its message may be shown to clients. */
export class TryFailed extends GatewayError {
  /** No byte of the request left, so that even an order can be sent again. */
  get isNeverSent(): boolean {
    return this.code === 'ERR_UPSTREAM_UNREACHABLE'
  }
  /** Whether it is the upstream's fault. */
  get blamesUpstream(): boolean {
    return UPSTREAM_FAULTS.has(this.code)
  }
}

const UPSTREAM_FAULTS: ReadonlySet<GatewayErrorCode> = new Set([
  'ERR_UPSTREAM_UNREACHABLE',
  'ERR_UPSTREAM_FAILED',
  'ERR_UPSTREAM_INVALID',
  'ERR_UPSTREAM_TIMEOUT',
])

/** Statuses by which a service, or a proxy before it, says that it cannot serve now. A 500 may be the fault of one request. */
export function isUnavailable(status: number): boolean {
  return status === 502 || status === 503 || status === 504
}

/**
 * Sends a request to one endpoint and waits for the head of its answer.
 *
 * @throws {TryFailed} and what the body or the signal fails with
 */
export async function attempt(options: AttemptOptions): Promise<Answer> {
  const { call, destination, gateway, picked, number, body, world } = options
  const { host, port } = picked.instance
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const startedAt = world.monotonic()
  const deadline = watch(options, startedAt)
  const traced = startClientSpan(`${call.method} ${destination}`, {
    'banyan.service': gateway,
    'banyan.upstream': destination,
    'http.request.method': call.method,
    'server.address': host,
    'server.port': port,
    ...(number > 1 && { 'http.request.resend_count': number - 1 }),
  })
  const done = (ok: boolean) => picked.done({ ok, latencyMs: world.monotonic() - startedAt })
  try {
    const headers = [...call.headers, 'x-timeout-ms', String(Math.max(1, Math.floor(deadline.remainingMs())))]
    const { method, path, limits } = call
    const answer = await options.client.send({
      origin: `${options.scheme}://${address}`,
      method,
      path,
      headers: withTraceContext(framed(headers, call.body, body), traced.context),
      body,
      signal: deadline.signal,
      idleTimeoutMs: limits.idleTimeoutMs,
      isUpgrade: call.isUpgrade ?? false,
      ...(call.onEarlyHints && { onInterim: (status: number, hints: HeaderList) => status === 103 && call.onEarlyHints?.(hints) }),
    })
    endSpan(traced.span, answer, (status) => status >= 400)
    const latencyMs = world.monotonic() - startedAt
    // In flight until the last byte, but as fast as its head came.
    const settle = () => picked.done({ ok: !isUnavailable(answer.status), latencyMs })
    if (answer.tunnel || answer.body instanceof Readable) (answer.tunnel ?? (answer.body as Readable)).once('close', settle)
    else settle()
    return { ...answer, upstream: `${destination}@${address}` }
  } catch (cause) {
    const error = failureOf(cause, destination)
    endSpan(traced.span, { error: cause }, () => true)
    done(!(error instanceof TryFailed && error.blamesUpstream))
    throw error
  } finally {
    deadline.stop()
  }
}

/** A stream's length goes with it when it is known; otherwise the client frames it in chunks. */
function framed(headers: HeaderList, body: RequestBody, opened: AttemptOptions['body']): HeaderList {
  if (opened === undefined || body.length === undefined) return headers
  return [...headers, 'content-length', String(body.length)]
}

interface Deadline {
  readonly signal: AbortSignal
  remainingMs(): number
  stop(): void
}

/**
 * Aborts when time is up: once the whole request has come, the try's and the call's timeouts count; while it still comes, only a
 * pause in it does.
 */
function watch({ call, destination, signal, startedAt: callStartedAt, world }: AttemptOptions, startedAt: number): Deadline {
  const { body, limits } = call
  const controller = new AbortController()
  const expiresAt = () => {
    if (!body.isComplete) return body.progressAt + Math.max(limits.idleTimeoutMs, limits.timeoutMs)
    const total = Math.max(callStartedAt, body.progressAt) + limits.timeoutMs
    return Math.min(total, Math.max(startedAt, body.progressAt) + limits.tryTimeoutMs)
  }
  const remainingMs = () => expiresAt() - world.monotonic()
  const check = () => {
    const leftMs = remainingMs()
    if (leftMs > 0) timer = world.after(leftMs, check)
    else controller.abort(new TryFailed('ERR_UPSTREAM_TIMEOUT', `"${destination}" took too long to answer`, { status: 504 }))
  }
  let timer = world.after(Math.max(0, remainingMs()), check)
  const onAbort = () => controller.abort(signal.reason)
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return {
    signal: controller.signal,
    remainingMs,
    stop() {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
    },
  }
}

/** What a client may read of an error of the upstream client; the whole is its cause. */
function failureOf(cause: unknown, destination: string): unknown {
  if (!(cause instanceof GatewayError)) return cause
  switch (cause.code) {
    case 'ERR_UPSTREAM_UNREACHABLE':
      return new TryFailed(cause.code, `"${destination}" cannot be reached`, { status: 503, retryAfterMs: 1_000, cause })
    case 'ERR_UPSTREAM_FAILED':
      return new TryFailed(cause.code, `"${destination}" broke the connection before it answered`, { status: 502, cause })
    case 'ERR_UPSTREAM_INVALID':
      return new TryFailed(cause.code, `the answer of "${destination}" is not clean HTTP`, { status: 502, cause })
    default:
      return cause
  }
}
