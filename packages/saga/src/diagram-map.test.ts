import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import { diagramSaga } from './diagram.ts'
import { diagramMap } from './diagram-map.ts'
import { flow } from './flow.ts'
import { diagramFlow } from './flow-diagram.ts'
import { nothing } from './steps.ts'
import { checkout, paid, placed, reserved, shipped } from './test/flow-events.ts'

const key = ({ id }: { id: string }) => id

const parcel = (version: number) =>
  saga<{ id: string }>('parcel', { version, key })
    .step('label', { do: () => 1, undo: nothing('it only prints') })
    .done()

const order = saga<{ id: string }>('order', { version: 1, key })
  .local('note', { do: () => 1, undo: () => 2 })
  .wait('paid', { for: paid, where: key, withinMs: 1, otherwise: 'undo' })
  .pivot('confirm', { local: () => 1 })
  .child('parcel', parcel(2), { input: (c) => c.input })
  .wait('gone', { for: shipped, where: key, withinMs: 1, otherwise: 'continue' })
  .done()

const delivery = flow('delivery', { version: 2 }).starts(paid).ends(shipped).withinMs(1)

/** Without what it is indented by. */
const linesOf = (chart: string) => chart.split('\n').map((line) => line.trim())

describe('diagramMap', () => {
  it('draws a box for each, and thick lines from events to the waits for them and from steps to the sagas they start', () => {
    expect(diagramMap({ sagas: [order, parcel(2)], flows: [delivery] })).toBe(`flowchart LR
  subgraph flow1["flow delivery, version 2"]
    direction LR
    flow1_e0_0(["paid"])
    flow1_e1_0(["shipped"])
    flow1_e0_0 --> flow1_e1_0
  end
  subgraph saga1["saga order, version 1"]
    direction TD
    saga1_start(["order, version 1"])
    saga1_s0["note<br/>local"]
    saga1_s1["paid<br/>wait"]
    saga1_s2{{"confirm<br/>local"}}
    saga1_s3["parcel<br/>child"]
    saga1_s4["gone<br/>wait"]
    saga1_done(["completed"])
    saga1_start --> saga1_s0
    saga1_s0 --> saga1_s1
    saga1_s1 --> saga1_s2
    saga1_s2 --> saga1_s3
    saga1_s3 --> saga1_s4
    saga1_s4 --> saga1_done
    saga1_compensated(["compensated"])
    saga1_s0 -. undo .-> saga1_compensated
  end
  subgraph saga2["saga parcel, version 2"]
    direction TD
    saga2_start(["parcel, version 2"])
    saga2_s0["label<br/>remote"]
    saga2_done(["completed"])
    saga2_start --> saga2_s0
    saga2_s0 --> saga2_done
  end
  flow1_e0_0 ==>|"paid"| saga1_s1
  flow1_e1_0 ==>|"shipped"| saga1_s4
  saga1_s3 ==>|"starts"| saga2_start
`)
  })

  it('draws in each box what the saga or the flow has alone, and gives no two nodes one id', () => {
    const chart = diagramMap({ sagas: [order, order, parcel(1)], flows: [checkout, delivery] })
    const alone = (text: string) => linesOf(text).slice(1).filter(Boolean)
    const marked = (lines: string[], prefix: string) =>
      lines.map((line) => line.replaceAll(/\b(s\d+|start|done|compensated|e\d+_\d+)\b(?=[[({ ]|$)/g, `${prefix}$1`))
    for (const prefix of ['saga1_', 'saga2_'])
      expect(linesOf(chart)).toEqual(expect.arrayContaining(marked(alone(diagramSaga(order)), prefix)))
    expect(linesOf(chart)).toEqual(expect.arrayContaining(marked(alone(diagramFlow(checkout)), 'flow1_')))
    const nodes = linesOf(chart).flatMap((line) => /^(?:subgraph )?(\w+)[[({]/.exec(line)?.[1] ?? [])
    expect(new Set(nodes).size).toBe(nodes.length)
    const ends = linesOf(chart).flatMap((line) => {
      const [, from, to] = /^(\w+) .*> ?(?:\|.*\| )?(\w+)$/.exec(line) ?? []
      return from && to ? [from, to] : []
    })
    expect(ends.length).toBeGreaterThan(60)
    expect(nodes).toEqual(expect.arrayContaining(ends))
  })

  it('meets the latest version of a child saga, every flow that declares an event, and nothing that is not on the map', () => {
    const meets = (parts: Parameters<typeof diagramMap>[0]) => linesOf(diagramMap(parts)).filter((line) => line.includes('==>'))
    const other = flow('money', { version: 1 }).starts(placed).then(paid).ends(reserved).withinMs(1)
    expect(meets({ sagas: [order, parcel(3), parcel(2)], flows: [delivery, other] })).toEqual([
      'flow1_e0_0 ==>|"paid"| saga1_s1',
      'flow2_e1_0 ==>|"paid"| saga1_s1',
      'flow1_e1_0 ==>|"shipped"| saga1_s4',
      'saga1_s3 ==>|"starts"| saga2_start',
    ])
    expect(meets({ sagas: [order] })).toEqual([])
    expect(meets({ flows: [delivery, other] })).toEqual([])
  })

  it('keeps what stands in a name from ending its label', () => {
    const odd = saga<{ id: string }>('the "big" #1', { version: 1, key })
      .pivot('pay', { local: () => 1 })
      .done()
    expect(diagramMap({ sagas: [odd] })).toContain('saga1["saga the #quot;big#quot; #35;1, version 1"]')
    expect(diagramSaga(odd)).toContain('start(["the #quot;big#quot; #35;1, version 1"])')
  })
})
