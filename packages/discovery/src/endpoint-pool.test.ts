import { type Instance, manualWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { balancer, balances } from './balance.ts'
import { endpointTable, inFlightOf } from './balance-table.ts'
import { endpointPool } from './endpoint-pool.ts'
import { outlierLimit } from './outliers.ts'
import { instanceOf } from './test/balance-bench.ts'

interface Open {
  readonly id: string
  readonly slot: number
  readonly ticket: number
  readonly admitted: number
  /** How often its instance had been taken out when it began. */
  readonly life: number
}

const happening = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('list' as const), up: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }) }) },
  { weight: 9, arbitrary: fc.record({ kind: fc.constant('pick' as const), exclude: fc.subarray(['i0', 'i1', 'i2', 'i3', 'i4', 'i5']) }) },
  { weight: 9, arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat(), ok: fc.boolean() }) },
)

test('whatever happens, picks are of the list, not excluded if it can be, and each endpoint has the calls a list of them says', () => {
  fc.assert(
    fc.property(fc.constantFrom(...balances), fc.array(happening, { maxLength: 80, size: 'max' }), (balance, happenings) => {
      const world = manualWorld()
      const table = endpointTable()
      const limit = outlierLimit('test', { failures: 2 })
      const pool = endpointPool({ table, balancer: balancer(table, { balance, loadFactor: 1.25, world }), limit, slowStartMs: 50 })
      let there: Instance[] = []
      const lives = new Map<string, number>()
      const open: Open[] = []
      let now = 0
      for (const event of happenings) {
        now += 7
        if (event.kind === 'list') {
          const next = event.up.flatMap((up, index) => (up ? [instanceOf(`i${index}`, { weight: index + 1 })] : []))
          for (const { id } of there) if (!next.some((one) => one.id === id)) lives.set(id, (lives.get(id) ?? 0) + 1)
          there = next
          pool.take(there, now)
        } else if (event.kind === 'pick') {
          const exclude = new Set(event.exclude)
          const slot = pool.choose(exclude, now * 7_919, now)
          expect(slot >= 0).toBe(there.length > 0)
          if (slot < 0) continue
          const id = table.instances[slot]?.id ?? ''
          expect(there.map((one) => one.id)).toContain(id)
          // One may be avoided; when two are left there is another that is not excluded.
          const others = there.filter((one) => !exclude.has(one.id))
          if (others.length > 1) expect(exclude.has(id)).toBe(false)
          open.push({ id, slot, ticket: pool.begin(slot, now), admitted: now, life: lives.get(id) ?? 0 })
        } else if (open.length > 0) {
          const [call] = open.splice(event.which % open.length, 1)
          if (call) pool.end(call.slot, call.ticket, { ok: event.ok, latencyMs: 5, admitted: call.admitted }, now)
        }
        const counted = open.filter(({ id, life }) => life === (lives.get(id) ?? 0) && there.some((one) => one.id === id))
        for (const [slot, instance] of table.instances.entries())
          if (instance) expect(inFlightOf(table, slot)).toBe(counted.filter(({ id }) => id === instance.id).length)
        expect(table.totalInFlight).toBe(counted.length)
      }
    }),
    { numRuns: 200 },
  )
})
