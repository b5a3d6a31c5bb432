import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { after, DEFAULT_RETRY, type FailureReason, firstInLine, type Parking, type ParkingEvent } from './parking.ts'

const failed = (reason: FailureReason = 'failed', random = 0.5): ParkingEvent => ({
  kind: 'failed',
  error: { reason, code: 'ERR_X', message: 'no', stack: undefined },
  random,
})

describe('parking', () => {
  it('doubles the longest pause with each failure and is dead after all attempts', () => {
    let parking = firstInLine(0)
    const pauses: number[] = []
    for (let attempt = 1; attempt < DEFAULT_RETRY.attempts; attempt += 1) {
      parking = after(parking, failed('failed', 1), 1_000, DEFAULT_RETRY)
      if (parking.kind === 'due') pauses.push(parking.dueAt - 1_000)
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1_600])
    expect(after(parking, failed(), 2_000, DEFAULT_RETRY)).toMatchObject({
      kind: 'dead',
      attempts: 6,
      failure: { code: 'ERR_X', firstAt: 1_000, lastAt: 2_000 },
    })
  })

  it('never pauses longer than the cap', () => {
    const parking = after({ kind: 'due', attempts: 40, dueAt: 0, failure: undefined }, failed('failed', 1), 0, {
      ...DEFAULT_RETRY,
      attempts: 99,
    })
    expect(parking).toMatchObject({ kind: 'due', dueAt: 30_000 })
  })

  it.each(['invalid', 'version-unknown', 'undecodable', 'refused'] as const)('is dead at once when the message is %s', (reason) => {
    expect(after(firstInLine(0), failed(reason), 5, DEFAULT_RETRY)).toMatchObject({ kind: 'dead', attempts: 1, failure: { reason } })
  })

  it('comes back with all its attempts when redriven, and keeps what is known of the failure', () => {
    const dead = after(firstInLine(0), failed('invalid'), 5, DEFAULT_RETRY)
    expect(after(dead, { kind: 'redriven' }, 9, DEFAULT_RETRY)).toMatchObject({
      kind: 'due',
      attempts: 0,
      dueAt: 9,
      failure: { firstAt: 5 },
    })
  })

  it('pauses for longer and longer while failures say nothing about the message, also where the schedule has no pauses', () => {
    const parking = firstInLine(0)
    const retry = { attempts: 2, baseMs: 0, capMs: 0 }
    const pauses = [1, 2, 3, 4, 5, 2_000].map((times) => {
      const next = after(parking, { kind: 'postponed', times, random: 1 }, 0, retry)
      return next.kind === 'due' && [next.attempts, next.dueAt]
    })
    expect(pauses).toEqual([100, 200, 400, 800, 1_000, 1_000].map((pause) => [0, pause]))
  })

  it('property: attempts never exceed the schedule, a dead letter changes by a redrive only, and pauses stay in bounds', () => {
    const event = fc.oneof(
      fc.record({ random: fc.double({ min: 0, max: 0.999, noNaN: true }) }).map(({ random }) => failed('failed', random)),
      fc
        .record({ times: fc.nat(2_000), random: fc.double({ min: 0, max: 0.999, noNaN: true }) })
        .map<ParkingEvent>(({ times, random }) => ({ kind: 'postponed', times, random })),
      fc.constant(failed('invalid')),
      fc.constant<ParkingEvent>({ kind: 'head' }),
      fc.constant<ParkingEvent>({ kind: 'redriven' }),
    )
    const retry = { attempts: 4, baseMs: 10, capMs: 50 }
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        let parking: Parking = { kind: 'waiting' }
        for (const [now, event] of events.entries()) {
          const next = after(parking, event, now, retry)
          if (parking.kind === 'dead' && event.kind !== 'redriven') expect(next).toBe(parking)
          if (parking.kind === 'waiting' && event.kind !== 'head') expect(next).toBe(parking)
          if (event.kind === 'postponed') expect({ ...next, dueAt: 0 }).toEqual({ ...parking, dueAt: 0 })
          if (next.kind === 'due') {
            expect(next.attempts).toBeLessThan(retry.attempts)
            expect(next.dueAt).toBeLessThanOrEqual(now + (event.kind === 'failed' ? retry.capMs : 1_000))
          }
          if (next.kind === 'dead') expect(next.attempts).toBeLessThanOrEqual(retry.attempts)
          parking = next
        }
      }),
    )
  })
})
