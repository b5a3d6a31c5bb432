import type { Cancellation } from '@banyan/resilience'
import { GatewayError } from '../errors.ts'
import { openSession, type Session, type SessionOptions } from './session.ts'

export interface SessionPoolOptions extends SessionOptions {
  /** The most connections at a time; more requests wait for their turn on them. */
  readonly maxSessions: number
  /** How long an unused connection is kept, milliseconds. */
  readonly keepAliveMs: number
}

/** The connections of HTTP/2 to one upstream: one, as long as it takes more requests. */
export class SessionPool {
  readonly #options: SessionPoolOptions
  readonly #sessions = new Set<Session>()
  #opening: Promise<void> | undefined
  #isClosed = false

  constructor(options: SessionPoolOptions) {
    this.#options = options
  }

  /**
   * A connection for one more request, which has entered it and must leave it.
   *
   * @throws {GatewayError} `ERR_UPSTREAM_UNREACHABLE`; what the cancellation was aborted with
   */
  async take(cancellation: Cancellation): Promise<Session> {
    for (;;) {
      if (cancellation.aborted) throw cancellation.reason
      if (this.#isClosed) throw closing(this.#options)
      const found = this.#choose()
      if (found) {
        found.enter()
        return found
      }
      this.#opening ??= this.#open()
      await orAborted(this.#opening, cancellation)
    }
  }

  /** Closes connections that nobody has used for too long. @returns how many are left */
  sweep(): number {
    const { world, keepAliveMs } = this.#options
    for (const one of this.#sessions) {
      if (one.streams === 0 && world.monotonic() - one.idleSince >= keepAliveMs) one.connection.close()
    }
    return this.#sessions.size + (this.#opening ? 1 : 0)
  }

  destroy(): void {
    this.#isClosed = true
    for (const one of this.#sessions) one.destroy()
  }

  #choose(): Session | undefined {
    let leastBusy: Session | undefined
    for (const one of this.#sessions) {
      if (one.hasRoom) return one
      if (one.isOpen && one.streams < (leastBusy?.streams ?? Number.POSITIVE_INFINITY)) leastBusy = one
    }
    return this.#sessions.size < this.#options.maxSessions ? undefined : leastBusy
  }

  async #open(): Promise<void> {
    try {
      const opened = await openSession(this.#options)
      if (this.#isClosed) return opened.destroy()
      this.#sessions.add(opened)
      opened.connection.once('close', () => this.#sessions.delete(opened))
    } finally {
      this.#opening = undefined
    }
  }
}

function closing({ origin }: SessionPoolOptions): GatewayError {
  return new GatewayError('ERR_UPSTREAM_UNREACHABLE', `${origin} cannot be reached: the gateway closes its connections`)
}

/** What a promise brings, unless the cancellation comes first. */
function orAborted(promise: Promise<void>, cancellation: Cancellation): Promise<void> {
  return new Promise((resolve, reject) => {
    const listener = { onAbort: reject }
    cancellation.listen(listener)
    promise.then(resolve, reject).finally(() => cancellation.unlisten(listener))
  })
}
