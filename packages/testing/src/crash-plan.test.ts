import { manualWorld } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { crashPlan, describeMishap } from './crash-plan.ts'

const victims = [
  { role: 'relay', points: ['before-publish', 'after-publish'], pauseMs: { min: 300, max: 400 } },
  { role: 'consumer', points: [] },
  { role: 'database', points: [], outsider: true },
]
const plan = (seed: number, kills = 200, pauses = 50) => crashPlan({ victims, kills, pauses, random: manualWorld({ seed }).random })

describe('crashPlan', () => {
  it('repeats itself from a seed, and differs with another', () => {
    expect(plan(7)).toEqual(plan(7))
    expect(plan(7)).not.toEqual(plan(8))
  })

  it('kills every victim, at every named point and at random times', () => {
    const kills = plan(1).filter(({ deed }) => deed.kind === 'kill')
    const all = new Set(kills.map(({ role, when }) => `${role} ${when.kind === 'point' ? when.point : 'time'}`))
    expect([...all].sort()).toEqual(['consumer time', 'relay after-publish', 'relay before-publish', 'relay time'])
  })

  it('pauses only who may be paused, and as long as is said', () => {
    const pauses = plan(1).flatMap(({ role, deed }) => (deed.kind === 'pause' ? [{ role, forMs: deed.forMs }] : []))
    expect(pauses).toHaveLength(50)
    expect(pauses.filter(({ role, forMs }) => role !== 'relay' || forMs < 300 || forMs > 400)).toEqual([])
  })

  it('lets an outsider strike while a process stands at a point, and at times of its own', () => {
    const strikes = plan(1).filter(({ deed }) => deed.kind === 'strike')
    expect(new Set(strikes.map(({ role, when }) => `${role} ${when.kind}`))).toEqual(new Set(['relay point', 'database time']))
    expect(plan(1).filter(({ deed }) => deed.kind !== 'pause')).toHaveLength(200)
  })

  it('draws those of little weight seldom', () => {
    const two = [
      { role: 'often', points: [] },
      { role: 'seldom', points: [], weight: 0.1 },
    ]
    const drawn = crashPlan({ victims: two, kills: 1_000, random: manualWorld().random }).filter(({ role }) => role === 'seldom')
    expect(drawn.length).toBeGreaterThan(50)
    expect(drawn.length).toBeLessThan(150)
  })

  it('lets an outsider that is the only victim strike at the points of witnesses', () => {
    const { random } = manualWorld({ seed: 1 })
    const mishaps = crashPlan({ victims: victims.slice(2), witnesses: victims.slice(0, 1), kills: 50, random })
    expect(new Set(mishaps.map(({ role, deed }) => `${role} ${deed.kind}`))).toEqual(new Set(['relay strike', 'database strike']))
  })

  it('says who is hit where', () => {
    const at = { kind: 'point', point: 'after-publish', hit: 2, withinMs: 1 } as const
    expect(describeMishap({ role: 'relay', when: at, deed: { kind: 'kill' } })).toBe('relay at after-publish, hit 2: kill')
    expect(describeMishap({ role: 'relay', when: { kind: 'time', afterMs: 30 }, deed: { kind: 'pause', forMs: 400 } })).toBe(
      'relay after 30 ms: pause 400 ms',
    )
    expect(describeMishap({ role: 'relay', when: at, deed: { kind: 'strike', outsider: 'database' } })).toBe(
      'relay at after-publish, hit 2: strike database',
    )
  })

  it.each([
    ['kills', { kills: Number.NaN }],
    ['kills', { kills: -1 }],
    ['kills', { kills: 1.5 }],
    ['pauses', { kills: 1, pauses: Number.NaN }],
    ['weight', { kills: 1, victims: [{ role: 'relay', points: [], weight: Number.NaN }] }],
    ['weight', { kills: 0, victims: [{ role: 'relay', points: [], weight: 0 }] }],
  ])('refuses "%s" of %j: a plan in which too little happens would count as one that went well', (name, wrong) => {
    expect(() => crashPlan({ victims, random: () => 0, ...wrong })).toThrow(new RegExp(`^cannot plan crashes: .*"${name}"`))
  })

  it('draws somebody, however the weights add up', () => {
    const three = [0.1, 0.2, 0.3].map((weight) => ({ role: String(weight), points: [], weight }))
    const [mishap] = crashPlan({ victims: three, kills: 1, random: () => 1 - 2 ** -53 })
    expect(mishap?.role).toBe('0.3')
  })

  it('wants somebody to kill', () => {
    expect(() => crashPlan({ victims: [], kills: 1, random: () => 0 })).toThrow(RangeError)
  })
})
