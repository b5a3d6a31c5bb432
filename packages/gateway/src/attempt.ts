import { Readable } from 'node:stream'
import { codeOf, type World } from '@banyan/core'
import type { Picked } from '@banyan/discovery'
import { type AbortListener, Cancellation, type Deadline, deadlinesOf } from '@banyan/resilience'
import { GatewayError, type GatewayErrorCode } from './errors.ts'
import { grpcTimeout, isGrpcUnavailable } from './grpc.ts'
import type { HeaderList } from './headers.ts'
import { measuredMethod, tries } from './metrics.ts'
import type { RequestBody } from './request-body.ts'
import { endSpan, isTracing, startClientSpan, type Traced, withTraceContext } from './trace.ts'
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
  /** A call of gRPC, perhaps with a time by which its client wants it ended. */
  readonly grpc?: { readonly timeoutMs: number | undefined } | undefined
  /** Told of a 103. */
  readonly onEarlyHints?: ((headers: HeaderList) => void) | undefined
}

/** All milliseconds, but for `retries`. */
export interface CallLimits {
  /** From the last byte of the request to the head of the answer, over all tries. */
  readonly timeoutMs: number
  /** What `timeoutMs` would be, where it is the client that gives less. */
  readonly routeTimeoutMs?: number | undefined
  readonly tryTimeoutMs: number
  /** The longest pause within the body of the request and of the answer. */
  readonly idleTimeoutMs: number
  readonly retries: number
  /** When a GET or HEAD without an answer is sent once more, to another endpoint; left out: never. */
  readonly hedgeMs?: number | undefined
}

/** The answer of a destination, and who gave it. */
export interface Answer extends UpstreamAnswer {
  /** Who answered says that it cannot serve now: 502, 503, 504, or UNAVAILABLE of gRPC. A 500 may be the fault of one request. */
  readonly isUnavailable: boolean
  /** `orders@127.0.0.1:3001`. */
  readonly upstream: string
  /** From the start of the first try to the head, milliseconds, to a tenth. */
  readonly upstreamMs: number
}

/** How {@link attempt} is made. */
export interface AttemptOptions {
  readonly call: Call
  /** For messages and traces. */
  readonly destination: string
  /** The service's name in spans. */
  readonly gateway: string
  readonly endpoint: Endpoint
  readonly picked: Picked
  /** 1 for the first. */
  readonly number: number
  /** When the first try began, in `world.monotonic()` time. */
  readonly startedAt: number
  /** The body for this try, opened. */
  readonly body: Awaited<ReturnType<RequestBody['open']>>
  /** The end of the whole call. */
  readonly cancellation: Cancellation | undefined
  readonly client: UpstreamClient
  readonly world: World
}

/** An instance as requests see it; the same for all of them. */
export interface Endpoint {
  /** `http://127.0.0.1:3001`. */
  readonly origin: string
  /** `orders@127.0.0.1:3001`, for the log. */
  readonly label: string
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

/**
 * Sends a request to one endpoint and waits for the head of its answer.
 *
 * @throws {TryFailed} and what the body fails with or the cancellation was aborted with
 */
export function attempt(options: AttemptOptions): Promise<Answer> {
  return new Attempt(options).send()
}

/**
 * One try under way. It is cut when time is up: once the whole request has come, the try's and the call's timeouts count; while it still
 * comes, only a pause in it does. A class, as every request makes one.
 */
class Attempt implements AbortListener, Deadline {
  at: number
  place = -1
  readonly #options: AttemptOptions
  readonly #startedAt: number
  readonly #cut: Cancellation
  readonly #traced: Traced | undefined

  constructor(options: AttemptOptions) {
    const { world, cancellation } = options
    this.#options = options
    this.#startedAt = world.monotonic()
    this.at = this.#nextLook()
    this.#cut = new Cancellation(world, this.at)
    this.#traced = isTracing() ? startAttemptSpan(options) : undefined
    deadlinesOf(world).add(this)
    cancellation?.listen(this)
  }

  send(): Promise<Answer> {
    const { call, endpoint, body, client } = this.#options
    const { method, path, limits, onEarlyHints } = call
    const headers = call.headers.slice()
    if (call.grpc) headers.push(...this.#grpcTimeout(call.grpc))
    else headers.push('x-timeout-ms', String(Math.max(1, Math.floor(this.#expiresAt() - this.#startedAt))))
    // A stream's length goes with it when it is known; otherwise the client frames it in chunks.
    if (body !== undefined && call.body.length !== undefined) headers.push('content-length', String(call.body.length))
    const request = {
      origin: endpoint.origin,
      method,
      path,
      headers: this.#traced ? withTraceContext(headers, this.#traced.context) : headers,
      body,
      trailers: call.body.trailers,
      cancellation: this.#cut,
      idleTimeoutMs: limits.idleTimeoutMs,
      isUpgrade: call.isUpgrade ?? false,
      onInterim: onEarlyHints && ((status: number, hints: HeaderList) => void (status === 103 && onEarlyHints(hints))),
    }
    return client.send(request).then(this.#onAnswer, this.#onFailure)
  }

  readonly #onAnswer = (answer: UpstreamAnswer): Answer => {
    this.#leave()
    const { call, picked, endpoint, world } = this.#options
    const { status, headers, body, trailers, tunnel } = answer
    const isUnavailable = status >= 502 ? status <= 504 : call.grpc !== undefined && isGrpcUnavailable(headers)
    if (this.#traced) endSpan(this.#traced.span, answer, (code) => code >= 400)
    const now = world.monotonic()
    const latencyMs = now - this.#startedAt
    const upstreamMs = Math.round((now - this.#options.startedAt) * 10) / 10
    recordTry(this.#options, latencyMs, status)
    const outcome = { ok: !isUnavailable, latencyMs }
    // In flight until the last byte, but as fast as its head came.
    const stream = tunnel ?? (body instanceof Readable ? body : undefined)
    if (stream) stream.once('close', () => picked.done(outcome))
    else picked.done(outcome)
    return {
      status,
      headers,
      body,
      isUnavailable,
      upstream: endpoint.label,
      upstreamMs,
      ...(trailers && { trailers }),
      ...(tunnel && { tunnel }),
    }
  }

  readonly #onFailure = (cause: unknown): never => {
    this.#leave()
    const { picked, destination, world } = this.#options
    const error = failureOf(cause, destination)
    if (this.#traced) endSpan(this.#traced.span, { error: cause }, () => true)
    const latencyMs = world.monotonic() - this.#startedAt
    recordTry(this.#options, latencyMs, codeOf(error) ?? 'ERR_UPSTREAM_FAILED')
    picked.done({ ok: !(error instanceof TryFailed && error.blamesUpstream), latencyMs })
    throw error
  }

  /** The call is over. */
  onAbort(reason: unknown): void {
    this.#cut.abort(reason)
  }

  /** Time is up, unless more of the request has come meanwhile. */
  expire(): void {
    const { world } = this.#options
    if (this.#expiresAt() > world.monotonic()) {
      this.at = this.#nextLook()
      deadlinesOf(world).add(this)
    } else this.#cut.abort(this.#lateness())
  }

  /**
   * A client that gives too little time, or stops within its body, says nothing of the upstream: else anybody could open its breaker. One that
   * gives a fair part of the route's time does: else a service that hangs would never open it where all callers have deadlines of their own.
   */
  #lateness(): GatewayError {
    const { call, destination, world } = this.#options
    if (call.body.isAwaited)
      return new GatewayError('ERR_BODY_CUT', 'the client paused too long within the body of its request', { status: 408 })
    const { routeTimeoutMs = 0, tryTimeoutMs } = call.limits
    const waitedMs = world.monotonic() - Math.max(this.#startedAt, call.body.progressAt)
    if (waitedMs >= FAIR_PART * Math.min(routeTimeoutMs, tryTimeoutMs))
      return new TryFailed('ERR_UPSTREAM_TIMEOUT', `"${destination}" took too long to answer`, { status: 504 })
    return new GatewayError('ERR_UPSTREAM_TIMEOUT', `"${destination}" did not answer in the time that the client gives`, { status: 504 })
  }

  /** Of a call of gRPC the time is for all of it, which may stream for long: only what its client gave is handed on. */
  #grpcTimeout({ timeoutMs }: NonNullable<Call['grpc']>): string[] {
    const { world, startedAt } = this.#options
    return timeoutMs === undefined ? [] : ['grpc-timeout', grpcTimeout(timeoutMs - (world.monotonic() - startedAt))]
  }

  /** A body that still comes may end at once, and then the time is shorter; but not over before this. */
  #nextLook(): number {
    const { call, world } = this.#options
    const expiresAt = this.#expiresAt()
    return call.body.isComplete ? expiresAt : Math.min(expiresAt, world.monotonic() + call.limits.tryTimeoutMs)
  }

  #expiresAt(): number {
    const { call, startedAt: callStartedAt } = this.#options
    const { body, limits } = call
    if (!body.isComplete) return body.progressAt + Math.max(limits.idleTimeoutMs, limits.timeoutMs)
    const total = Math.max(callStartedAt, body.progressAt) + limits.timeoutMs
    return Math.min(total, Math.max(this.#startedAt, body.progressAt) + limits.tryTimeoutMs)
  }

  #leave(): void {
    const { world, cancellation } = this.#options
    deadlinesOf(world).remove(this)
    cancellation?.unlisten(this)
  }
}

/** Of the time that a route gives: an upstream that has not answered by then has failed, though its client gave it no more. */
const FAIR_PART = 0.25

/** Beside the metric of the whole request, so that one can tell the service's time from the gateway's. */
function recordTry({ call, destination, gateway }: AttemptOptions, ms: number, result: number | string): void {
  tries()?.record(ms / 1_000, {
    'http.request.method': measuredMethod(call.method),
    'banyan.service': gateway,
    'banyan.upstream': destination,
    ...(typeof result === 'number' ? { 'http.response.status_code': result } : { 'error.type': result }),
  })
}

function startAttemptSpan({ call, destination, gateway, picked, number }: AttemptOptions): Traced {
  const { host, port } = picked.instance
  return startClientSpan(`${measuredMethod(call.method)} ${destination}`, {
    'banyan.service': gateway,
    'banyan.upstream': destination,
    'http.request.method': measuredMethod(call.method),
    'server.address': host,
    'server.port': port,
    ...(number > 1 && { 'http.request.resend_count': number - 1 }),
  })
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
