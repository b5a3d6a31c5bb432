import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assign, type Holding, PARTITIONS, partitionOf } from './assignment.ts'

const names = ['m1', 'm2', 'm3', 'm4', 'm5']
const holdings = fc.array(fc.option(fc.constantFrom(...names, 'dead'), { nil: undefined }), {
  minLength: PARTITIONS,
  maxLength: PARTITIONS,
})

describe('assignment of partitions', () => {
  it('shares all partitions evenly after two rounds, in any order, and never takes from the living', () => {
    fc.assert(
      fc.property(
        holdings,
        fc.shuffledSubarray(names, { minLength: 1 }),
        fc.shuffledSubarray(names, { minLength: 5 }),
        (start, alive, order) => {
          let state: Holding[] = start.map((member, partition) => ({ partition, member }))
          for (const me of [...order, ...order].filter((name) => alive.includes(name))) {
            const { release, take } = assign(state, alive, me)
            for (const partition of release) expect(state[partition]?.member).toBe(me)
            for (const partition of take) expect(alive).not.toContain(state[partition]?.member)
            state = state.map(({ partition, member }) => {
              if (release.includes(partition)) return { partition, member: undefined }
              return { partition, member: take.includes(partition) ? me : member }
            })
          }
          const shares = alive.map((name) => state.filter(({ member }) => member === name).length)
          expect(shares.reduce((sum, share) => sum + share, 0)).toBe(PARTITIONS)
          expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
        },
      ),
    )
  })

  it('changes nothing when everybody has a fair share', () => {
    const state = Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, member: partition < 8 ? 'm1' : 'm2' }))
    expect(assign(state, ['m2', 'm1'], 'm1')).toEqual({ release: [], take: [] })
  })

  it('refuses to assign to somebody who is no member', () => {
    expect(() => assign([], ['m1'], 'm2')).toThrow(RangeError)
  })

  it('spreads keys over all partitions, the same way each time', () => {
    const used = new Set(Array.from({ length: 500 }, (_, index) => partitionOf(`order-${index}`)))
    expect([...used].sort((a, b) => a - b)).toEqual(Array.from({ length: PARTITIONS }, (_, index) => index))
    // Part of the file format: another answer would let two processes disagree about who has a key.
    expect([partitionOf(''), partitionOf('order-1'), partitionOf('ü')]).toEqual([5, 13, 11])
  })
})
