import { describe, expect, it } from 'vitest'
import { flow, repeated } from './flow.ts'
import { diagramFlow } from './flow-diagram.ts'
import { checkout, placed, reserved, shipped, short } from './test/flow-events.ts'

const declared = () => flow('checkout', { version: 1 })

describe('flow', () => {
  it('declares start, steps, detours, what may come, and ends, in their order', () => {
    expect(checkout).toMatchObject({ name: 'checkout', version: 1, withinMs: 300_000 })
    expect(checkout.places.map(({ kind, events }) => [kind, ...events.map(({ type, leads }) => `${type} ${leads}`)])).toEqual([
      ['start', 'placed on'],
      ['step', 'reserved on', 'short out'],
      ['maybe', 'checked on', 'scanned on'],
      ['step', 'paid on'],
      ['end', 'shipped on', 'collected on', 'rejected out', 'cancelled out'],
    ])
    expect(checkout.places[2]?.events[1]?.repeats).toBe(true)
    expect([checkout.follows({ id: '1' }), checkout.follows({ id: '1', by: 'saga' })]).toEqual([true, false])
  })

  it('refuses an event that stands in it already, in types and at run time', () => {
    // @ts-expect-error: 'placed' is the start
    expect(() => declared().starts(placed).then(placed)).toThrow('event "placed" stands in it already')
    // @ts-expect-error: 'reserved' is a step
    expect(() => declared().starts(placed).then(reserved).otherwise(reserved)).toThrow('event "reserved" stands in it already')
    // @ts-expect-error: 'reserved' is a step, also when it repeats
    expect(() => declared().starts(placed).then(reserved).maybe(repeated(reserved))).toThrow('event "reserved" stands in it already')
    // @ts-expect-error: 'reserved' is a step and no end
    expect(() => declared().starts(placed).then(reserved).ends(reserved)).toThrow('event "reserved" stands in it already')
    // @ts-expect-error: 'placed' is the start and no end
    expect(() => declared().starts(placed).ends(shipped, placed)).toThrow('event "placed" stands in it already')
    expect(() => declared().starts(placed).then(reserved, reserved)).toThrow('event "reserved" stands in it already')
  })

  it('refuses what makes no sense', () => {
    // @ts-expect-error: a start comes first
    expect(() => declared().then(reserved)).toThrow(TypeError)
    // @ts-expect-error: nothing to be otherwise
    expect(() => declared().starts(placed).otherwise(short)).toThrow('"otherwise" stands after "then"')
    // @ts-expect-error: an end does not repeat
    expect(() => declared().starts(placed).ends(repeated(shipped))).toThrow('"shipped" is its end and cannot repeat')
    // @ts-expect-error: a place without events
    expect(() => declared().starts(placed).then()).toThrow('a place without events')
    // @ts-expect-error: not an event
    expect(() => declared().starts('placed')).toThrow('wanted an event as event() declares it, got placed')
    // @ts-expect-error: it has no end
    expect(() => declared().starts(placed).withinMs(1)).toThrow(TypeError)
    expect(() => declared().starts(placed).then(reserved).otherwise(short).ends(shipped)).toThrow('after "short" it cannot end')
    expect(() => declared().starts(placed).ends(shipped).withinMs(0)).toThrow('"withinMs" is 0, wanted a whole number from 1')
    expect(() => flow('', { version: 1 })).toThrow(TypeError)
    expect(() => flow('checkout', { version: 0 })).toThrow(RangeError)
  })

  it('takes yes and no alone for what is followed', () => {
    const slow = declared()
      .starts(placed, { where: () => Promise.reject(new Error('asked somebody')) as never })
      .ends(shipped)
      .withinMs(1)
    expect(() => slow.follows({ id: '1' })).toThrow('the "where" of flow "checkout" gives an instance of Promise, wanted true or false')
  })

  it('says so when somebody awaits a flow that is not finished', async () => {
    // Awaiting calls `then` with two functions.
    await expect(Promise.resolve().then(() => declared().starts(placed))).rejects.toThrow('is an "await" before it?')
  })
})

describe('diagramFlow', () => {
  it('draws the way in full lines, detours and what may come in dotted ones', () => {
    expect(diagramFlow(checkout)).toBe(`flowchart LR
  e0_0(["placed"])
  e1_0["reserved"]
  e1_1["short"]
  e2_0["checked"]
  e2_1["scanned (1..n)"]
  e3_0["paid"]
  e4_0(["shipped"])
  e4_1(["collected"])
  e4_2(["rejected"])
  e4_3(["cancelled"])
  e0_0 -. at any time .-> e4_2
  e0_0 -. at any time .-> e4_3
  e0_0 --> e1_0
  e0_0 -.-> e1_1
  e1_1 --> e4_2
  e1_1 --> e4_3
  e1_0 -.-> e2_0
  e1_0 -.-> e2_1
  e1_0 --> e3_0
  e2_0 --> e3_0
  e2_1 --> e3_0
  e3_0 --> e4_0
  e3_0 --> e4_1`)
  })
})
