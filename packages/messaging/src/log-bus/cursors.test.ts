import { describe, expect, it } from 'vitest'
import { busCursors } from './cursors.ts'

const at = (partition: number, type: string, position: number) => ({ partition, type, position })

describe('cursors of a subscription', () => {
  it('wants what lies after its positions, in partitions it holds', () => {
    const cursors = busCursors(['a'])
    cursors.hold(
      [
        { partition: 1, epoch: 1, positions: { a: 10 } },
        { partition: 2, epoch: 1, positions: { a: 4 } },
      ],
      1,
    )
    expect(cursors.lowest()).toBe(4)
    expect(cursors.wants(at(1, 'a', 10))).toBe(false)
    expect(cursors.wants(at(1, 'a', 11))).toBe(true)
    expect(cursors.wants(at(2, 'a', 5))).toBe(true)
    expect(cursors.wants(at(3, 'a', 99))).toBe(false)
  })

  it('starts a type that is new to the group at the oldest event, and leaves the others where they are', () => {
    const cursors = busCursors(['a', 'b'])
    cursors.hold([{ partition: 0, epoch: 1, positions: { a: 10 } }], 3)
    expect(cursors.lowest()).toBe(2)
    expect(cursors.wants(at(0, 'a', 5))).toBe(false)
    expect(cursors.wants(at(0, 'b', 5))).toBe(true)
  })

  it('saves after a delivery at once, after mere reading only after a thousand positions', () => {
    const cursors = busCursors(['a'])
    cursors.hold([{ partition: 0, epoch: 1, positions: { a: 0 } }], 1)
    cursors.pass(999, false)
    expect(cursors.unsaved(false)).toEqual([])
    expect(cursors.unsaved(true)).toEqual([{ partition: 0, epoch: 1, positions: '{"a":999}' }])
    cursors.pass(1_000, false)
    expect(cursors.unsaved(false)).toEqual([{ partition: 0, epoch: 1, positions: '{"a":1000}' }])
    cursors.saved(cursors.unsaved(false))
    expect(cursors.unsaved(true)).toEqual([])
    cursors.pass(1_001, true)
    expect(cursors.unsaved(false)).toEqual([{ partition: 0, epoch: 1, positions: '{"a":1001}' }])
  })

  it('goes on from memory while its epoch lasts, from the file under a new one', () => {
    const cursors = busCursors(['a'])
    cursors.hold(
      [
        { partition: 0, epoch: 1, positions: { a: 5 } },
        { partition: 1, epoch: 1, positions: { a: 5 } },
      ],
      1,
    )
    cursors.pass(9, true)
    cursors.hold(
      [
        { partition: 0, epoch: 1, positions: { a: 5 } },
        { partition: 1, epoch: 3, positions: { a: 6 } },
      ],
      1,
    )
    expect(cursors.wants(at(0, 'a', 9))).toBe(false)
    expect(cursors.wants(at(1, 'a', 7))).toBe(true)
    cursors.hold([], 1)
    expect(cursors.partitions()).toEqual([])
  })

  it('goes on from the file under the same epoch when the log has gone back, and says that it does not fit', () => {
    const cursors = busCursors(['a'])
    const held = [{ partition: 0, epoch: 1, positions: { a: 5 } }]
    cursors.hold(held, 1, 0)
    cursors.pass(9, true)
    expect([cursors.fits(0), cursors.fits(1)]).toEqual([true, false])
    cursors.hold(held, 1, 0)
    expect(cursors.wants(at(0, 'a', 6))).toBe(false)
    cursors.hold(held, 1, 1)
    expect(cursors.wants(at(0, 'a', 6))).toBe(true)
    expect(cursors.fits(1)).toBe(true)
    cursors.forget()
    expect([cursors.partitions(), cursors.unsaved(true)]).toEqual([[], []])
  })

  it('keeps what moved on while an older state was being saved', () => {
    const cursors = busCursors(['a'])
    cursors.hold([{ partition: 0, epoch: 1, positions: { a: 0 } }], 1)
    cursors.pass(1, true)
    const saving = cursors.unsaved(false)
    cursors.pass(2, true)
    cursors.saved(saving)
    expect(cursors.unsaved(true)).toEqual([{ partition: 0, epoch: 1, positions: '{"a":2}' }])
    expect(cursors.unsaved(false)).toEqual([{ partition: 0, epoch: 1, positions: '{"a":2}' }])
  })
})
