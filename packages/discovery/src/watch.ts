import { type Logger, messageOf, type Snapshot, sleep, type World } from '@banyan/core'
import { backoffMs } from './backoff.ts'
import type { Listing } from './consul-instance.ts'
import { DiscoveryError } from './errors.ts'
import { after, type MassExpiryOptions, unheard, type WatchState } from './watch-state.ts'

/** What a {@link watchService} needs. */
export interface WatchOptions {
  service: string
  /**
   * Asks for the service's instances; with an index above 0, answers when they changed or `waitMs` passed. `signal` ends the question; what is
   * kept from one to the next goes with `stopped`, when there will be none.
   */
  ask: (question: { index: number; waitMs: number; signal: AbortSignal; stopped: AbortSignal }) => Promise<Listing>
  /** How long one question may wait for a change, milliseconds. */
  waitMs: number
  massExpiry: Required<MassExpiryOptions>
  world: World
  log: Logger
}

/** One service followed for any number of listeners. */
export interface ServiceWatch {
  /** Calls `onChange` once soon, then at each change, until the returned function is called. */
  listen(onChange: (snapshot: Snapshot) => void): () => void
  readonly listeners: number
  stop(): void
}

/** A registry that answers at once although nothing changed is not asked faster than this, milliseconds. */
const shortestRoundMs = 100

/**
 * How long it waits to ask again after a change, milliseconds. Changes come in bursts (a deployment, a host that is lost), which are then
 * heard together; and where many watch, the registry tells all of them before it takes the next questions of the first.
 */
const burstMs = 20

/** How much later than `waitMs` an answer may come, milliseconds: a sixteenth of jitter by the server, and this. */
const overdueMs = 5_000

/**
 * Follows a service by blocking queries. An answer that does not come in time counts as the registry being away, whatever `ask` does with
 * its signal: the snapshot becomes stale, and the whole list is asked for again.
 */
export function watchService(options: WatchOptions): ServiceWatch {
  const { service, log } = options
  const listeners = new Set<(snapshot: Snapshot) => void>()
  const stopped = new AbortController()
  let state = unheard

  function become(next: WatchState): void {
    const changed = next.snapshot !== state.snapshot && !sameSnapshot(next.snapshot, state.snapshot)
    state = next
    if (!changed) return
    // One of them may take out another.
    for (const listener of [...listeners]) if (listeners.has(listener)) tell(listener, state.snapshot)
  }
  function tell(listener: (snapshot: Snapshot) => void, snapshot: Snapshot): void {
    try {
      listener(snapshot)
    } catch (error) {
      // A listener's fault must not end the watch of the others.
      log.error({ service, error: messageOf(error) }, `a listener to the instances of "${service}" threw`)
    }
  }

  void follow(options, stopped.signal, () => state, become)
  return {
    listen(onChange) {
      // Wrapped, so that one function listening twice is two listeners.
      const listener = (snapshot: Snapshot) => onChange(snapshot)
      listeners.add(listener)
      queueMicrotask(() => {
        const heard = state.snapshot.revision > 0 || state.snapshot.stale
        if (heard && listeners.has(listener)) tell(listener, state.snapshot)
      })
      return () => void listeners.delete(listener)
    },
    get listeners() {
      return listeners.size
    },
    stop() {
      stopped.abort()
      listeners.clear()
    },
  }
}

async function follow(
  options: WatchOptions,
  signal: AbortSignal,
  get: () => WatchState,
  become: (next: WatchState) => void,
): Promise<void> {
  const { service, massExpiry, world, log } = options
  while (!signal.aborted) {
    const state = get()
    const asked = world.monotonic()
    const waitMs = state.held ? Math.max(1, Math.min(options.waitMs, state.held.until - asked)) : options.waitMs
    let pauseMs = 0
    try {
      const listing = await inTime(options, signal, { index: state.index, waitMs })
      if (signal.aborted) return
      const now = world.monotonic()
      become(after(state, { type: 'listed', listing }, now, massExpiry))
      if (get().held && !state.held)
        log.warn(
          { service, held: get().held?.ids.size },
          `many instances of "${service}" would go at once; keeping them until the registry says so again`,
        )
      if (state.failures > 0) log.info({ service }, `hears of "${service}" again`)
      if (listing.index === state.index && now - asked < Math.min(shortestRoundMs, waitMs)) pauseMs = shortestRoundMs
      else if (state.index > 0 && listing.index !== state.index) pauseMs = burstMs
    } catch (error) {
      if (signal.aborted) return
      become(after(state, { type: 'failed' }, world.monotonic(), massExpiry))
      if (state.failures === 0) log.warn({ service, error: messageOf(error) }, `hears nothing of "${service}"; goes on with what is known`)
      pauseMs = backoffMs(world, state.failures)
    }
    // Rejects only when stopped, and then the loop ends.
    if (pauseMs > 0) await sleep(world, pauseMs, signal).catch(() => undefined)
  }
}

/** Asks, and rejects when the answer is overdue. One that comes later is not heard. */
async function inTime(
  { service, ask, world }: WatchOptions,
  signal: AbortSignal,
  question: { readonly index: number; readonly waitMs: number },
): Promise<Listing> {
  // Not AbortSignal.any: with a watch that asks again and again, its signals were a fifth of what there was to collect.
  const over = new AbortController()
  const onStop = () => over.abort(signal.reason)
  const limitMs = overdueMs + (question.index > 0 ? question.waitMs * (1 + 1 / 16) : 0)
  const timer = world.after(limitMs, () =>
    over.abort(new DiscoveryError('ERR_REGISTRY_UNAVAILABLE', `no answer about "${service}" for ${Math.round(limitMs)} ms`)),
  )
  signal.addEventListener('abort', onStop, { once: true })
  const given = new Promise<never>((_, reject) => over.signal.addEventListener('abort', () => reject(over.signal.reason), { once: true }))
  try {
    return await Promise.race([ask({ ...question, signal: over.signal, stopped: signal }), given])
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', onStop)
  }
}

function sameSnapshot(one: Snapshot, two: Snapshot): boolean {
  return one.revision === two.revision && one.stale === two.stale
}
