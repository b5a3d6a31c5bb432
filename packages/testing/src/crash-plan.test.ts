import { manualWorld } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { crashPlan, describeKill } from './crash-plan.ts'

const victims = [
  { role: 'relay', points: ['before-publish', 'after-publish'] },
  { role: 'consumer', points: [] },
]
const plan = (seed: number, kills = 200) => crashPlan({ victims, kills, random: manualWorld({ seed }).random })

describe('crashPlan', () => {
  it('repeats itself from a seed, and differs with another', () => {
    expect(plan(7)).toEqual(plan(7))
    expect(plan(7)).not.toEqual(plan(8))
  })

  it('kills every victim, at every named point and at random times', () => {
    const all = new Set(plan(1).map((kill) => `${kill.role} ${kill.kind === 'point' ? kill.point : 'time'}`))
    expect([...all].sort()).toEqual(['consumer time', 'relay after-publish', 'relay before-publish', 'relay time'])
  })

  it('says who dies where', () => {
    expect(describeKill({ kind: 'point', role: 'relay', point: 'after-publish', hit: 2, withinMs: 1 })).toBe(
      'relay at after-publish, hit 2',
    )
    expect(describeKill({ kind: 'time', role: 'relay', afterMs: 30 })).toBe('relay after 30 ms')
  })

  it('wants somebody to kill', () => {
    expect(() => crashPlan({ victims: [], kills: 1, random: () => 0 })).toThrow(RangeError)
  })
})
