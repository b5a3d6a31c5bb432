import type { AbortListener } from '@banyan/resilience'
import type { TransportRequest, TransportResponse } from './transport.ts'

/** Those it is one of, who hear when nobody waits for it any more. */
export interface PendingCalls {
  cancel(pending: Pending, reason: unknown): void
}

/** One call on its way. */
export class Pending implements AbortListener {
  readonly id: number
  readonly resolve: (response: TransportResponse) => void
  readonly reject: (error: unknown) => void
  readonly #calls: PendingCalls
  readonly #request: TransportRequest

  constructor(
    calls: PendingCalls,
    id: number,
    request: TransportRequest,
    resolve: (response: TransportResponse) => void,
    reject: (error: unknown) => void,
  ) {
    this.#calls = calls
    this.id = id
    this.#request = request
    this.resolve = resolve
    this.reject = reject
    if (request.cancellation) request.cancellation.listen(this)
    else request.signal.addEventListener('abort', this)
  }

  onAbort(reason: unknown): void {
    this.#calls.cancel(this, reason)
  }

  handleEvent(): void {
    this.onAbort(this.#request.signal.reason)
  }

  leave(): void {
    if (this.#request.cancellation) this.#request.cancellation.unlisten(this)
    else this.#request.signal.removeEventListener('abort', this)
  }
}
