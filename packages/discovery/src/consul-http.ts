import { messageOf, type World } from '@banyan/core'
import { Agent, request } from 'undici'
import { DiscoveryError } from './errors.ts'

/** Plain requests to a registry, with a deadline each. */
export interface ConsulHttp {
  /**
   * Resolves with any answer below 500.
   *
   * @throws {DiscoveryError} `ERR_REGISTRY_UNAVAILABLE` when there was no answer, or one from 500
   */
  call(method: 'GET' | 'PUT', path: string, options: CallOptions): Promise<ConsulResponse>
  /** Breaks off what is open. */
  close(): Promise<void>
}

/** What a call to the registry needs besides its path. */
export interface CallOptions {
  /** From sending to the whole answer, milliseconds. Left out: `signal` says when it is over. */
  timeoutMs?: number
  body?: object
  signal?: AbortSignal
}

/** What the registry said. */
export interface ConsulResponse {
  readonly status: number
  readonly text: string
  /** The `X-Consul-Index`, 0 without one. */
  readonly index: number
}

/** @throws {TypeError} for a `url` that is not http or https */
export function consulHttp(options: { url: string; token?: string | undefined; world: World }): ConsulHttp {
  const { token, world } = options
  const base = baseOf(options.url)
  // Blocking queries hold their headers back for minutes; each call has its own deadline instead.
  const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 5_000 } })
  const headers = token === undefined ? {} : { 'x-consul-token': token }

  return {
    async call(method, path, { timeoutMs, body, signal }) {
      const deadline = timeoutMs === undefined ? { signal, passed: () => false, end: () => {} } : deadlineOf(world, timeoutMs, signal)
      try {
        const response = await request(`${base}${path}`, {
          method,
          headers: body ? { ...headers, 'content-type': 'application/json' } : headers,
          body: body ? JSON.stringify(body) : null,
          ...(deadline.signal ? { signal: deadline.signal } : {}),
          dispatcher,
        })
        const text = await response.body.text()
        if (response.statusCode >= 500) throw unavailable(base, `it answered ${response.statusCode}: ${text.slice(0, 200)}`)
        return { status: response.statusCode, text, index: indexOf(response.headers['x-consul-index']) }
      } catch (cause) {
        if (cause instanceof DiscoveryError) throw cause
        throw unavailable(base, deadline.passed() ? `no answer within ${timeoutMs} ms` : messageOf(cause), cause)
      } finally {
        deadline.end()
      }
    },
    close: () => dispatcher.destroy(),
  }
}

/** An answer below 500 that is not the one wanted. */
export function refused(action: string, response: ConsulResponse): DiscoveryError {
  return new DiscoveryError(
    'ERR_REGISTRY_REFUSED',
    `cannot ${action}: the registry answered ${response.status}: ${response.text.slice(0, 500)}`,
  )
}

function unavailable(base: string, what: string, cause?: unknown): DiscoveryError {
  return new DiscoveryError('ERR_REGISTRY_UNAVAILABLE', `cannot reach the registry at "${base}": ${what}`, {
    cause,
    status: 503,
    retryAfterMs: 1_000,
  })
}

function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return url.replace(/\/+$/, '')
  throw new TypeError(`cannot use the registry "${url}": wanted an http or https address, as in "http://127.0.0.1:8500"`)
}

function indexOf(header: string | string[] | undefined): number {
  const index = Number(header)
  return Number.isSafeInteger(index) && index > 0 ? index : 0
}

/** A signal that aborts after `timeoutMs` or with `outer`, whichever is first. */
function deadlineOf(world: World, timeoutMs: number, outer: AbortSignal | undefined) {
  const controller = new AbortController()
  let passed = false
  const timer = world.after(timeoutMs, () => {
    passed = true
    controller.abort()
  })
  const abort = () => controller.abort(outer?.reason)
  if (outer?.aborted) abort()
  outer?.addEventListener('abort', abort, { once: true })
  return {
    signal: controller.signal,
    passed: () => passed,
    end() {
      timer.cancel()
      outer?.removeEventListener('abort', abort)
    },
  }
}
