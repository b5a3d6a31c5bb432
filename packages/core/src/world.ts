/**
 * The outside world as the code sees it: time, randomness, ids and waiting. Everything in Banyan takes one, so that any
 * part of it runs under a test's clock and from a seed.
 */
export interface World {
  /** Wall clock, milliseconds since 1970-01-01T00:00:00Z. For storing. May jump either way. */
  now(): number
  /** Milliseconds since an arbitrary start, with fractions. For subtracting. Never goes back. */
  monotonic(): number
  /** A number in [0, 1), for jitter and sampling. Not for secrets. */
  random(): number
  /** A new UUID version 7 (RFC 9562): sorts by the time it was made. */
  uuid(): string
  /** Calls `fire` once, after at least `delayMs` milliseconds, of which there may be any number. */
  after(delayMs: number, fire: () => void): Timer
}

/** A pending call of `World.after`. */
export interface Timer {
  /** Stops it; nothing happens when it has fired already. */
  cancel(): void
}

/**
 * Resolves after `delayMs` milliseconds of `world`'s time.
 *
 * @throws the signal's reason, at once when `signal` aborts.
 */
export function sleep(world: World, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const timer = world.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    const onAbort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
