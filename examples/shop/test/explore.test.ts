import { expect, it } from 'vitest'
import orderFulfilment from '../orders/explore.ts'

it("the shop's own saga keeps its promises through every schedule with up to three faults", async () => {
  const found = await orderFulfilment.explore({ faults: 3 })
  console.log(found.text)
  expect(found.broken?.lines ?? []).toEqual([])
  expect(found.complete).toBe(true)
  expect(found.text).toContain('nothing is broken')
}, 120_000)
