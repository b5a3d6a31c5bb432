/** Where a service stands. `aborting`: a stop came while it was starting. `failing`: a start failed and is being undone. */
export type Phase = 'created' | 'starting' | 'ready' | 'aborting' | 'failing' | 'draining' | 'stopped' | 'failed'

export type LifecycleEvent = 'start' | 'started' | 'start-failed' | 'stop' | 'ended'

const NEXT: Readonly<Record<Phase, Partial<Readonly<Record<LifecycleEvent, Phase>>>>> = {
  created: { start: 'starting', stop: 'stopped' },
  starting: { started: 'ready', 'start-failed': 'failing', stop: 'aborting' },
  // The start notices at its next step; what it has started is stopped.
  aborting: { started: 'draining', 'start-failed': 'draining', stop: 'aborting' },
  ready: { stop: 'draining' },
  draining: { ended: 'stopped', stop: 'draining' },
  failing: { ended: 'failed', stop: 'failing' },
  stopped: { stop: 'stopped' },
  failed: { stop: 'failed' },
}

/** The phase after an event; `undefined` where it makes no sense. */
export function after(phase: Phase, event: LifecycleEvent): Phase | undefined {
  return NEXT[phase][event]
}
