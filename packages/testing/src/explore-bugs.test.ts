import { describe, expect, it } from 'vitest'
import { plantedBugs } from './test/planted-bugs.ts'

describe('the explorer finds what is wrong with a saga, and nothing where nothing is wrong', () => {
  it.each(plantedBugs)('$name', async ({ rule, broken, mended }) => {
    const found = await broken()
    expect(found.text).toContain('BROKEN')
    expect(found.broken?.rule).toMatch(rule)
    expect(found.broken?.faults).toBeLessThanOrEqual(3)
    const again = await broken(found.broken?.schedule ?? 'none')
    expect(again.broken).toEqual(found.broken)
    const right = await mended()
    expect(right.text).toContain('nothing is broken')
    expect(right.complete).toBe(true)
  })
})
