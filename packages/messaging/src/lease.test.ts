import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { after, type Lease, UNHELD } from './lease.ts'

const claim = (owner: string) => ({ kind: 'claim', owner, leaseMs: 100 }) as const

describe('lease', () => {
  it('is taken when free, and refused to others until its time is over', () => {
    const first = after(UNHELD, claim('a'), 0)
    expect(first).toEqual({ kind: 'held', epoch: 1, owner: 'a', expiresAt: 100 })
    expect(after(first, claim('b'), 99)).toBe(first)
    expect(after(first, claim('b'), 100)).toEqual({ kind: 'held', epoch: 2, owner: 'b', expiresAt: 200 })
  })

  it('is renewed late as long as nobody took over', () => {
    const first = after(UNHELD, claim('a'), 0)
    expect(after(first, { kind: 'renew', epoch: 1, leaseMs: 100 }, 500)).toEqual({ kind: 'held', epoch: 1, owner: 'a', expiresAt: 600 })
    const second = after(first, claim('b'), 500)
    expect(after(second, { kind: 'renew', epoch: 1, leaseMs: 100 }, 500)).toBe(second)
    expect(after(second, { kind: 'release', epoch: 1 }, 500)).toBe(second)
  })

  it('is taken from a holder that stood still for three times as long as a lease lasts, whatever the clock says', () => {
    const first = after(UNHELD, claim('a'), 3_600_000)
    // The clock was set back by an hour, and the holder died.
    expect(after(first, { ...claim('b'), unchangedMs: 299 }, 0)).toBe(first)
    expect(after(first, { ...claim('b'), unchangedMs: 300 }, 0)).toEqual({ kind: 'held', epoch: 2, owner: 'b', expiresAt: 100 })
  })

  it('can be taken at once after a release, under a new epoch', () => {
    const released = after(after(UNHELD, claim('a'), 0), { kind: 'release', epoch: 1 }, 1)
    expect(released).toEqual({ kind: 'free', epoch: 1 })
    expect(after(released, claim('b'), 1)).toMatchObject({ owner: 'b', epoch: 2 })
  })

  it('property: an epoch has one owner for ever, and never comes back', () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constant('claim' as const), owner: fc.constantFrom('a', 'b', 'c'), leaseMs: fc.integer({ min: 1, max: 50 }) }),
      fc.record({ kind: fc.constant('renew' as const), epoch: fc.integer({ min: 0, max: 8 }), leaseMs: fc.integer({ min: 1, max: 50 }) }),
      fc.record({ kind: fc.constant('release' as const), epoch: fc.integer({ min: 0, max: 8 }) }),
    )
    // Clocks of several machines: time may go back.
    const steps = fc.array(fc.tuple(event, fc.integer({ min: -30, max: 60 })), { maxLength: 60 })
    fc.assert(
      fc.property(steps, (list) => {
        const owners = new Map<number, string>()
        let lease: Lease = UNHELD
        let now = 0
        for (const [event, passed] of list) {
          now += passed
          const next = after(lease, event, now)
          expect(next.epoch).toBeGreaterThanOrEqual(lease.epoch)
          if (next.kind === 'held') {
            expect(owners.get(next.epoch) ?? next.owner).toBe(next.owner)
            owners.set(next.epoch, next.owner)
          }
          if (event.kind !== 'claim' && event.epoch !== lease.epoch) expect(next).toBe(lease)
          lease = next
        }
      }),
    )
  })
})

// A model of one partition and two relays, run through every interleaving of a few steps. The store is what the adapters do: it takes
// progress from the current epoch only, and "done" never goes back. A relay that is paused simply makes no step for a while.

interface Relay {
  /** What it believes to hold. */
  readonly epoch: number | undefined
  /** What it has read and not marked yet. */
  readonly next: number
}

interface Model {
  readonly now: number
  readonly lease: Lease
  readonly done: number
  readonly relays: readonly [Relay, Relay]
  /** Who had progress accepted under each epoch. */
  readonly accepted: readonly (readonly [epoch: number, relay: number])[]
  readonly jumps: number
}

interface Store {
  /** Whether progress of a relay that believes in `epoch` is taken. */
  takes(lease: Lease, epoch: number, relay: number): boolean
  done(old: number, next: number): number
}

const fenced: Store = {
  takes: (lease, epoch) => lease.kind === 'held' && lease.epoch === epoch,
  done: (old, next) => Math.max(old, next),
}
const LEASE = 1
const LAST = 2
const EPOCHS = 3

describe('the lease in every interleaving', () => {
  it('lets no two relays make progress under one epoch, and nothing go back, whatever clocks do and whoever is paused', () => {
    const { states, faults } = explore(fenced)
    expect(faults).toEqual(new Set())
    expect(states).toBeGreaterThan(2_000)
  })

  it('is checked by something that finds a store wrong that asks the clock instead of the epoch', () => {
    // It takes progress from whoever thinks to hold the lease while somebody holds it.
    const byBelief: Store = { ...fenced, takes: (lease) => lease.kind === 'held' }
    expect(explore(byBelief).faults).toContain('progress under an old epoch')
  })

  it('is checked by something that finds a store wrong that writes what it is told', () => {
    const trusting: Store = { takes: (lease) => lease.kind === 'held', done: (_old, next) => next }
    expect(explore(trusting).faults).toContain('done went back')
  })
})

function explore(store: Store): { states: number; faults: Set<string> } {
  const idle: Relay = { epoch: undefined, next: 0 }
  const open: Model[] = [{ now: 0, lease: UNHELD, done: 0, relays: [idle, idle], accepted: [], jumps: 0 }]
  const seen = new Set<string>()
  const faults = new Set<string>()
  for (let model = open.pop(); model; model = open.pop()) {
    const name = JSON.stringify(model)
    if (seen.has(name)) continue
    seen.add(name)
    open.push(...stepsOf(model, 0, store, faults), ...stepsOf(model, 1, store, faults), ...timeOf(model))
  }
  return { states: seen.size, faults }
}

function stepsOf(model: Model, index: 0 | 1, store: Store, faults: Set<string>): Model[] {
  const { lease, now, done } = model
  const me = model.relays[index]
  const withMe = (relay: Relay, more: Partial<Model> = {}): Model => ({
    ...model,
    ...more,
    relays: index === 0 ? [relay, model.relays[1]] : [model.relays[0], relay],
  })
  if (me.epoch === undefined) {
    const claimed = after(lease, { kind: 'claim', owner: String(index), leaseMs: LEASE }, now)
    if (claimed === lease || claimed.epoch > EPOCHS) return []
    return [withMe({ epoch: claimed.epoch, next: done }, { lease: claimed })]
  }
  const { epoch } = me
  const steps: Model[] = []
  if (me.next < LAST) steps.push(withMe({ epoch, next: me.next + 1 }))
  if (store.takes(lease, epoch, index)) {
    if (lease.epoch !== epoch) faults.add('progress under an old epoch')
    if (model.accepted.some(([one, relay]) => one === epoch && relay !== index)) faults.add('two relays under one epoch')
    const moved = store.done(done, me.next)
    if (moved < done) faults.add('done went back')
    const accepted = model.accepted.some(([one, relay]) => one === epoch && relay === index)
      ? model.accepted
      : [...model.accepted, [epoch, index] as const]
    steps.push(withMe(me, { done: moved, accepted }))
  } else {
    // Refused: it knows now that it has lost its lease.
    steps.push(withMe({ epoch: undefined, next: 0 }))
  }
  const renewed = after(lease, { kind: 'renew', epoch, leaseMs: LEASE }, now)
  if (renewed !== lease) steps.push(withMe(me, { lease: renewed }))
  steps.push(withMe({ epoch: undefined, next: 0 }, { lease: after(lease, { kind: 'release', epoch }, now) }))
  return steps
}

/** Time passes, and clocks jump, once either way: as far as two machines may differ. */
function timeOf(model: Model): Model[] {
  const steps: Model[] = model.now < 2 ? [{ ...model, now: model.now + 1 }] : []
  if (model.jumps < 1) steps.push({ ...model, now: model.now + 2, jumps: 1 }, { ...model, now: model.now - 2, jumps: 1 })
  return steps
}
