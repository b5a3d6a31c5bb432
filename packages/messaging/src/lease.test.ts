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
