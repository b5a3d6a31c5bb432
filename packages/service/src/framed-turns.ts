import { CallTable } from './framed-calls.ts'
import type { FramedRequest } from './framed-wire.ts'
import type { TransportRequest, TransportResponse, UniversalHandler } from './transport.ts'

/** The calls of one connection: so many are handled at once, the others wait for their turn. */
export interface FramedTurns {
  /** Whether no further call should be read. */
  isFull(): boolean
  /** @returns false when a call of this number is here already */
  take(call: number, head: Omit<FramedRequest, 'body'>, body: string | undefined): boolean
  /** Nobody waits for this call any more; nothing happens when it is not here. */
  cancel(call: number): void
  cancelAll(): void
}

export interface FramedTurnsOptions {
  readonly service: string
  readonly handle: UniversalHandler
  readonly maxInFlight: number
  /** A call is done. `undefined`: nobody waits for the answer. */
  readonly onAnswer: (call: number, response: TransportResponse | undefined) => void
}

/** Creates {@link FramedTurns}. */
export function framedTurns({ service, handle, maxInFlight, onAnswer }: FramedTurnsOptions): FramedTurns {
  const all = new CallTable<Running>()
  /** Those of `all` whose turn has not come. */
  const waiting: Running[] = []
  const seen = { active: 0, isStarting: false }

  function start(request: Running): void {
    seen.active += 1
    const response = handle(request)
    // Universal handlers never reject.
    if (response instanceof Promise) void response.then((late) => end(request, late))
    else end(request, response)
  }

  function end(request: Running, response: TransportResponse): void {
    seen.active -= 1
    all.delete(request.call)
    if (waiting.length > 0) startWaiting()
    onAnswer(request.call, request.cancelled ? undefined : response)
  }

  /** Those that are answered at once end in here: one after the other, and not one inside the other. */
  function startWaiting(): void {
    if (seen.isStarting) return
    seen.isStarting = true
    while (seen.active < maxInFlight) {
      const next = waiting.shift()
      if (!next) break
      if (next.cancelled) all.delete(next.call)
      else start(next)
    }
    seen.isStarting = false
  }

  return {
    isFull: () => seen.active >= maxInFlight,
    take(call, head, body) {
      if (all.get(call)) return false
      const running = new Running(service, call, head, body)
      all.add(call, running)
      if (seen.active < maxInFlight) start(running)
      else waiting.push(running)
      return true
    },
    cancel(call) {
      all.get(call)?.cancel()
    },
    cancelAll() {
      for (const running of all.values()) running.cancel()
    },
  }
}

/** One call on its way. A class, as one is made for each: see `Scope` in request-scope.ts. */
class Running implements TransportRequest {
  readonly service: string
  readonly call: number
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  cancelled = false
  #controller: AbortController | undefined

  constructor(service: string, call: number, { method, path, headers }: Omit<FramedRequest, 'body'>, body: string | undefined) {
    this.service = service
    this.call = call
    this.method = method
    this.path = path
    this.headers = headers
    this.body = body
  }

  /** Made when a handler first reads it. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.cancelled) this.#controller.abort(gone())
    }
    return this.#controller.signal
  }

  cancel(): void {
    this.cancelled = true
    this.#controller?.abort(gone())
  }
}

function gone(): DOMException {
  return new DOMException('the client has gone', 'AbortError')
}
