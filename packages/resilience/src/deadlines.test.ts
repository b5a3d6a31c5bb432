import { manualWorld, systemWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Deadline, deadlinesOf } from './deadlines.ts'

const deadlineAt = (at: number, expire: () => void): Deadline => ({ at, place: -1, expire })

test('agrees with a list that is sorted anew each time, under one timer', async () => {
  const step = fc.record({ act: fc.constantFrom('add', 'add', 'remove', 'wait'), value: fc.nat({ max: 100 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const world = manualWorld()
      const list = deadlinesOf(world)
      const fired: number[] = []
      const wanted: number[] = []
      let pending: { id: number; deadline: Deadline }[] = []
      for (const [id, { act, value }] of steps.entries()) {
        if (act === 'add') {
          const deadline = deadlineAt(world.monotonic() + value, () => fired.push(id))
          pending.push({ id, deadline })
          list.add(deadline)
        } else if (act === 'remove' && pending.length > 0) {
          const [gone] = pending.splice(value % pending.length, 1)
          if (gone) list.remove(gone.deadline)
        } else {
          const until = world.monotonic() + value
          const due = pending
            .filter(({ deadline }) => deadline.at <= until)
            .toSorted((a, b) => a.deadline.at - b.deadline.at || a.id - b.id)
          pending = pending.filter(({ deadline }) => deadline.at > until)
          wanted.push(...due.map(({ id }) => id))
          await world.advance(value)
        }
        await world.advance(0)
        for (const late of pending.filter(({ deadline }) => deadline.at <= world.monotonic())) wanted.push(late.id)
        pending = pending.filter(({ deadline }) => deadline.at > world.monotonic())
        // Those of one instant fire in any order.
        expect(fired.toSorted((a, b) => a - b)).toEqual(wanted.toSorted((a, b) => a - b))
        expect(world.pendingTimers()).toBe(pending.length > 0 ? 1 : 0)
      }
    }),
    { numRuns: 60 },
  )
})

test('fires in the order of time', async () => {
  const world = manualWorld()
  const list = deadlinesOf(world)
  const fired: number[] = []
  for (const at of [50, 10, 40, 20, 30, 60, 5]) list.add(deadlineAt(at, () => fired.push(at)))
  await world.advance(55)
  expect(fired).toEqual([5, 10, 20, 30, 40, 50])
})

test('a caller who awaits one call after the other sets no timer for each, and the last one leaves none', async () => {
  let set = 0
  const base = manualWorld()
  const world = {
    ...base,
    after(delayMs: number, fire: () => void) {
      set += 1
      return base.after(delayMs, fire)
    },
  }
  const list = deadlinesOf(world)
  for (let i = 0; i < 100; i += 1) {
    const deadline = deadlineAt(1_000, () => {})
    list.add(deadline)
    await Promise.resolve()
    list.remove(deadline)
    await Promise.resolve()
  }
  expect(set).toBe(1)
  await base.advance(0)
  expect(base.pendingTimers()).toBe(0)
})

test('a deadline beyond what a timer can wait is kept', async () => {
  let now = 0
  const delays: number[] = []
  let fire = () => {}
  const after = (delayMs: number, then: () => void) => {
    delays.push(delayMs)
    fire = then
    return { cancel() {} }
  }
  let expired = false
  const month = 30 * 86_400_000
  deadlinesOf({ ...systemWorld, monotonic: () => now, after }).add(deadlineAt(month, () => (expired = true)))
  now = 2_147_483_647
  fire()
  expect(expired).toBe(false)
  now = month
  fire()
  expect([expired, delays]).toEqual([true, [2_147_483_647, month - 2_147_483_647]])
})

test('one that throws takes none of the others with it', async () => {
  const world = manualWorld()
  const list = deadlinesOf(world)
  const fired: string[] = []
  list.add(
    deadlineAt(10, () => {
      throw new Error('a mistake of its own')
    }),
  )
  list.add(deadlineAt(10, () => fired.push('at the same moment')))
  list.add(deadlineAt(20, () => fired.push('later')))
  await expect(world.advance(10)).rejects.toThrow('a mistake of its own')
  await world.advance(10)
  expect(fired).toEqual(['at the same moment', 'later'])
})

test('a time that is none is refused by name, as it would hold up all others for ever', async () => {
  const world = manualWorld()
  const list = deadlinesOf(world)
  let expired = false
  list.add(deadlineAt(10, () => (expired = true)))
  expect(() => list.add(deadlineAt(Number.NaN, () => {}))).toThrow(new RangeError('cannot keep a deadline: "at" is NaN, wanted a number'))
  await world.advance(10)
  expect(expired).toBe(true)
})
