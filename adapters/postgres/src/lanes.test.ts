import { manualWorld } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { takeTurns } from './lanes.ts'

const TEXT = 'select n from counter'
const TURN = [expect.stringMatching(/^lock table banyan_lane_[0-7] in share row exclusive mode$/)]

describe('turns', () => {
  it('are not taken by those who were refused once', () => {
    const lanes = takeTurns(manualWorld())
    expect(lanes.behindBegin(TEXT)).toEqual([])
    lanes.refused(TEXT, 1)
    expect(lanes.behindBegin(TEXT)).toEqual([])
  })

  it('are taken after the second refusal, by all that begin alike, and end when a second has passed without another', async () => {
    const world = manualWorld()
    const lanes = takeTurns(world)
    lanes.refused(TEXT, 2)
    expect(lanes.behindBegin(TEXT)).toEqual(TURN)
    await world.advance(900)
    lanes.refused(TEXT, 3)
    await world.advance(900)
    expect(lanes.behindBegin(TEXT)).toEqual(TURN)
    await world.advance(100)
    expect(lanes.behindBegin(TEXT)).toEqual([])
  })

  it('leave those in peace that begin otherwise', () => {
    const lanes = takeTurns(manualWorld())
    lanes.refused(TEXT, 2)
    const others = Array.from({ length: 8 }, (_, index) => lanes.behindBegin(`select ${index} from other`))
    // Eight texts in eight lanes: some share the busy one, most do not.
    expect(others.filter((turn) => turn.length === 0).length).toBeGreaterThan(4)
  })
})
