import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { after, newProcess, type ProcessEvent, type ProcessState } from './supervision.ts'

const kinds = ['spawned', 'ready', 'exited', 'stop'] as const
const steps = fc.array(fc.record({ kind: fc.constantFrom(...kinds), passedMs: fc.nat(10_000) }))

function run(
  events: readonly { kind: ProcessEvent['kind']; passedMs: number }[],
): { state: ProcessState; now: number; stopped: boolean }[] {
  let now = 0
  let state = newProcess(now)
  let stopped = false
  return events.map(({ kind, passedMs }) => {
    now += passedMs
    state = after(state, { kind }, now)
    stopped ||= kind === 'stop'
    return { state, now, stopped }
  })
}

describe('a supervised process', () => {
  it('is started again at once when it dies after a good while', () => {
    let state = after(after(newProcess(0), { kind: 'spawned' }, 0), { kind: 'ready' }, 500)
    state = after(state, { kind: 'exited' }, 60_000)
    expect(state).toEqual({ kind: 'waiting', restartAtMs: 60_050, quickDeaths: 0 })
  })

  it('waits longer each time it dies at its start, up to five seconds', () => {
    let state = newProcess(0)
    const pauses: number[] = []
    for (let i = 0; i < 10; i += 1) {
      state = after(after(state, { kind: 'spawned' }, 0), { kind: 'exited' }, 0)
      if (state.kind === 'waiting') pauses.push(state.restartAtMs)
    }
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000])
  })

  it('is never started again after a stop, whatever happens', () => {
    fc.assert(
      fc.property(steps, (events) => {
        for (const { state, stopped } of run(events)) {
          if (stopped) expect(['stopping', 'stopped']).toContain(state.kind)
        }
      }),
    )
  })

  it('never waits more than five seconds', () => {
    fc.assert(
      fc.property(steps, (events) => {
        for (const { state, now } of run(events)) if (state.kind === 'waiting') expect(state.restartAtMs - now).toBeLessThanOrEqual(5_000)
      }),
    )
  })
})
