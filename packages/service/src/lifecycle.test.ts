import fc from 'fast-check'
import { expect, test } from 'vitest'
import { after, type LifecycleEvent, type Phase } from './lifecycle.ts'

const events: LifecycleEvent[] = ['start', 'started', 'start-failed', 'stop', 'ended']

function walk(path: readonly LifecycleEvent[]): Phase[] {
  const phases: Phase[] = ['created']
  for (const event of path) {
    const now = phases.at(-1) ?? 'created'
    phases.push(after(now, event) ?? now)
  }
  return phases
}

test('a service starts, drains and stops', () => {
  expect(walk(['start', 'started', 'stop', 'ended'])).toEqual(['created', 'starting', 'ready', 'draining', 'stopped'])
})

test('a failed start is undone and stays failed', () => {
  expect(walk(['start', 'start-failed', 'ended'])).toEqual(['created', 'starting', 'failing', 'failed'])
})

test('a stop during the start is not forgotten, however the start ends', () => {
  expect(walk(['start', 'stop', 'started', 'ended']).at(-1)).toBe('stopped')
  expect(walk(['start', 'stop', 'start-failed', 'ended']).at(-1)).toBe('stopped')
})

test('it is ready at most once, only after a start, and never after a stop', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events), { maxLength: 20 }), (path) => {
      const phases = walk(path)
      const entered = phases.filter((phase, index) => phase === 'ready' && phases[index - 1] !== 'ready')
      expect(entered.length).toBeLessThanOrEqual(1)
      const stop = path.indexOf('stop')
      if (stop >= 0) expect(phases.slice(stop + 1)).not.toContain('ready')
      const ready = phases.indexOf('ready')
      if (ready >= 0) expect(phases.slice(0, ready)).toContain('starting')
    }),
  )
})

test('a stop is accepted in every phase, a second start in none', () => {
  const phases: Phase[] = ['created', 'starting', 'ready', 'aborting', 'failing', 'draining', 'stopped', 'failed']
  for (const phase of phases) {
    expect(after(phase, 'stop')).toBeDefined()
    if (phase !== 'created') expect(after(phase, 'start')).toBeUndefined()
  }
})
