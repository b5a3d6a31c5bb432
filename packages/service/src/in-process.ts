import { shown, systemWorld, type World } from '@banyan/core'
import { ServiceError } from './errors.ts'
import type { Transport, TransportRequest, TransportResponse, UniversalHandler } from './transport.ts'

export interface InProcessOptions {
  /** Where calls of services go that are not in this process. Default: they fail. */
  fallback?: Transport
  /** Without a fallback: how long a call waits for its service to start, milliseconds. Default 2,000. */
  waitMs?: number
  world?: World
}

/** A transport between services of one process. Give it to `service()` and to `client()`. */
export interface InProcessTransport extends Transport {
  /**
   * Makes a service reachable; what it returns takes it out again.
   *
   * @throws {TypeError} when one of this name is there
   */
  attach(service: string, handle: UniversalHandler): () => void
}

/**
 * Creates an {@link InProcessTransport}: services of one process reach each other without sockets. Everything else is as over
 * HTTP: texts and not objects are handed over, contracts are checked on both sides, deadlines and traces go along.
 *
 * @throws {RangeError} for an option out of range
 */
export function inProcessTransport(options: InProcessOptions = {}): InProcessTransport {
  const { fallback, waitMs = 2_000, world = systemWorld } = options
  if (!(Number.isFinite(waitMs) && waitMs >= 0))
    throw new RangeError(`cannot create in-process transport: "waitMs" is ${shown(waitMs)}, wanted a number from 0`)
  const services = new Map<string, UniversalHandler>()
  const waiting = new Set<() => void>()

  /** Resolves when `service` is there, or when the wait is over. */
  function attached(service: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        timer.cancel()
        waiting.delete(check)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const check = () => {
        if (services.has(service)) end()
      }
      const timer = world.after(timeoutMs, end)
      waiting.add(check)
      signal.addEventListener('abort', end, { once: true })
    })
  }

  return {
    attach(service, handle) {
      if (services.has(service)) throw new TypeError(`cannot attach service "${service}": this process has one of that name already`)
      services.set(service, handle)
      for (const check of [...waiting]) check()
      return () => void services.delete(service)
    },
    async call(request) {
      const { service, signal, timeoutMs = waitMs } = request
      if (!services.has(service) && fallback) return fallback.call(request)
      signal.throwIfAborted()
      if (!services.has(service)) await attached(service, Math.min(waitMs, timeoutMs), signal)
      signal.throwIfAborted()
      const handle = services.get(service)
      if (!handle) throw new ServiceError('ERR_SERVICE_UNAVAILABLE', `no service "${service}" runs in this process`, { status: 503 })
      return untilAborted(request, handle)
    },
    close: () => fallback?.close() ?? Promise.resolve(),
  }
}

/** The answer; the signal's reason as soon as it aborts. */
function untilAborted(request: TransportRequest, handle: UniversalHandler): Promise<TransportResponse> {
  const { signal } = request
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    Promise.resolve(handle(request)).then((response) => {
      signal.removeEventListener('abort', onAbort)
      resolve(response)
    }, reject)
  })
}
