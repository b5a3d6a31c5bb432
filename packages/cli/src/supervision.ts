/** Where a supervised process stands. */
export type ProcessState =
  | { readonly kind: 'starting'; readonly sinceMs: number; readonly quickDeaths: number }
  | { readonly kind: 'ready'; readonly sinceMs: number; readonly quickDeaths: number }
  | { readonly kind: 'waiting'; readonly restartAtMs: number; readonly quickDeaths: number }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'stopped' }

export type ProcessEvent = { readonly kind: 'spawned' | 'ready' | 'exited' | 'stop' }

/** A process that lives longer than this has not died quickly. */
const QUICK_MS = 2_000
const FIRST_RESTART_MS = 50
const LAST_RESTART_MS = 5_000

/** A process about to be started for the first time. */
export function newProcess(nowMs: number): ProcessState {
  return { kind: 'waiting', restartAtMs: nowMs, quickDeaths: 0 }
}

/**
 * What becomes of a process. One that dies is started again at once; one that keeps dying soon after its start waits longer
 * each time, up to five seconds, so that a crash loop does not eat the machine.
 */
export function after(state: ProcessState, event: ProcessEvent, nowMs: number): ProcessState {
  switch (event.kind) {
    case 'spawned':
      return state.kind === 'waiting' ? { kind: 'starting', sinceMs: nowMs, quickDeaths: state.quickDeaths } : state
    case 'ready':
      return state.kind === 'starting' ? { kind: 'ready', sinceMs: nowMs, quickDeaths: state.quickDeaths } : state
    case 'exited':
      return afterExit(state, nowMs)
    case 'stop':
      return state.kind === 'waiting' || state.kind === 'stopped' ? { kind: 'stopped' } : { kind: 'stopping' }
  }
}

function afterExit(state: ProcessState, nowMs: number): ProcessState {
  if (state.kind === 'stopping' || state.kind === 'stopped') return { kind: 'stopped' }
  if (state.kind === 'waiting') return state
  const quick = state.kind === 'starting' || nowMs - state.sinceMs < QUICK_MS
  const quickDeaths = quick ? state.quickDeaths + 1 : 0
  const pauseMs = quick ? Math.min(LAST_RESTART_MS, FIRST_RESTART_MS * 2 ** (quickDeaths - 1)) : FIRST_RESTART_MS
  return { kind: 'waiting', restartAtMs: nowMs + pauseMs, quickDeaths }
}
