import type { Timer, World } from '@banyan/core'
import { indexOf, type RegistryState } from './registry-index.ts'
import { after, nextDueAt, nextDueIn, type RegistryEvent } from './registry-state.ts'

/** The living registry: holds the state, lets time pass in it, and wakes those who wait for a change. */
export interface RegistryStore {
  get(): RegistryState
  apply(event: RegistryEvent): RegistryState
  /**
   * Resolves when `service` (`undefined`: any) has another index than `index`, after `waitMs`, or when `signal` aborts.
   */
  changed(service: string | undefined, index: number, waitMs: number, signal: AbortSignal): Promise<void>
  stop(): void
}

/**
 * A timer that is this much too late, milliseconds, means that the process was paused (SIGSTOP, a machine asleep) and heard nobody: the
 * heartbeats of that time wait in its sockets. Nobody expires for it.
 */
export const absentMs = 1_000

/** Creates a {@link RegistryStore}; `onChange` is called after each change that has a new index. */
export function registryStore(options: { state: RegistryState; world: World; onChange: (state: RegistryState) => void }): RegistryStore {
  const { world, onChange } = options
  let state = options.state
  let timer: Timer | undefined
  let armedAt: number | undefined
  const waiting = new Map<string | undefined, Set<() => void>>()

  function apply(event: RegistryEvent): RegistryState {
    const now = world.monotonic()
    // Whatever comes first after a pause: what waits in the sockets is mostly read before a timer that is late.
    const wasAbsent = armedAt !== undefined && now - armedAt > absentMs
    const before = wasAbsent ? after(state, { type: 'resumed' }, now) : state
    state = after(before, event, now)
    // Looking at all deadlines can wait for the timer that is set: a heartbeat moves one back, a registration brings its own.
    if (wasAbsent || event.type === 'tick') arm(nextDueAt(state))
    else if (event.type === 'register') hasten(nextDueIn(state.entries.get(event.service.id)?.checks ?? []))
    else if (state.index !== before.index) arm(nextDueAt(state))
    if (state.index !== before.index) {
      onChange(state)
      for (const [service, wakers] of waiting)
        if (indexIn(before, service) !== indexIn(state, service)) for (const wake of [...wakers]) wake()
    }
    return state
  }

  function hasten(dueAt: number | undefined): void {
    if (dueAt !== undefined && (armedAt === undefined || dueAt < armedAt)) arm(dueAt)
  }

  function arm(dueAt: number | undefined): void {
    timer?.cancel()
    armedAt = dueAt === undefined ? undefined : Math.max(dueAt, world.monotonic())
    if (armedAt === undefined) return
    timer = world.after(Math.max(0, armedAt - world.monotonic()), () => apply({ type: 'tick' }))
  }

  arm(nextDueAt(state))
  return {
    get: () => state,
    apply,
    changed(service, index, waitMs, signal) {
      if (indexIn(state, service) !== index || signal.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const wakers = waiting.get(service) ?? new Set()
        const wake = () => {
          limit.cancel()
          signal.removeEventListener('abort', wake)
          wakers.delete(wake)
          if (wakers.size === 0 && waiting.get(service) === wakers) waiting.delete(service)
          resolve()
        }
        const limit = world.after(waitMs, wake)
        signal.addEventListener('abort', wake, { once: true })
        waiting.set(service, wakers.add(wake))
      })
    },
    stop() {
      timer?.cancel()
      for (const wakers of [...waiting.values()]) for (const wake of [...wakers]) wake()
    },
  }
}

function indexIn(state: RegistryState, service: string | undefined): number {
  return service === undefined ? state.index : indexOf(state, service)
}
