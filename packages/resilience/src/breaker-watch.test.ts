import { manualWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bulkhead } from './bulkhead.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { onResilienceEvent } from './events.ts'
import { policy } from './policy.ts'

/** A breaker alone in its policy, or one that is not and so goes the long way. */
function setup(alone: boolean) {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 3, coolDownMs: 100, probes: { needed: 1, maxWaitMs: 80 }, forgetAfterMs: 500, world })
  const layers = alone ? [breaker] : [breaker, bulkhead({ limit: 1_000, world })]
  const stock = policy('stock', ...layers)
  const flying: PromiseWithResolvers<string>[] = []
  const ended: string[] = []
  function begin(id: number): void {
    const one = Promise.withResolvers<string>()
    let called = false
    const work = () => {
      called = true
      return one.promise
    }
    void stock.run(work).then(
      (value) => ended.push(`${id} ${value}`),
      (error: Error) => ended.push(`${id} ${error.message}`),
    )
    if (called) flying.push(one)
  }
  async function act(what: string, id: number, pick: number): Promise<void> {
    if (what === 'begin') begin(id)
    else if (what === 'reset' || what === 'disable') breaker[what]()
    else if (what === 'force-open') breaker.forceOpen()
    else if (what === 'reconfigure') breaker.reconfigure({ failures: 1 + (pick % 4) })
    else {
      const [one] = flying.splice(pick % Math.max(1, flying.length), 1)
      if (what === 'pass') one?.resolve('answer')
      else one?.reject(new Error('down'))
    }
    await world.advance(pick)
  }
  return { breaker, act, ended, state: () => ({ state: breaker.state, counts: breaker.counts, flying: flying.length, ended }) }
}

test('a breaker alone does what one among other layers does', async () => {
  const act = fc.oneof(
    { weight: 6, arbitrary: fc.constant('begin') },
    { weight: 6, arbitrary: fc.constantFrom('pass', 'fail', 'fail') },
    { weight: 1, arbitrary: fc.constantFrom('reset', 'disable', 'force-open', 'reconfigure') },
  )
  const pick = fc.oneof({ weight: 6, arbitrary: fc.nat({ max: 30 }) }, { weight: 1, arbitrary: fc.nat({ max: 900 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(act, pick), { maxLength: 60 }), async (steps) => {
      const [alone, among] = [setup(true), setup(false)]
      for (const [id, [what, number]] of steps.entries()) {
        await alone.act(what, id, number)
        await among.act(what, id, number)
        expect(alone.state()).toEqual(among.state())
      }
    }),
    { numRuns: 80 },
  )
})

test('the short way is taken while nothing has failed, and only then', async () => {
  const { breaker, act } = setup(true)
  const watch = breaker.watcher?.watch
  expect(watch).toBeDefined()
  await act('begin', 1, 0)
  await act('begin', 2, 0)
  await act('fail', 0, 0)
  expect(breaker.watcher?.watch).toBeUndefined()
  await act('pass', 0, 0)
  expect(breaker.watcher?.watch).toBe(watch)
  breaker.reset()
  expect(breaker.watcher?.watch).not.toBe(watch)
  breaker.reconfigure({ window: { calls: 10 } })
  expect(breaker.watcher?.watch).toBeUndefined()
})

test('a call that somebody listens to goes the long way, and is told of', async () => {
  const { act, ended } = setup(true)
  const heard: unknown[] = []
  const stop = onResilienceEvent('call', ({ ok, attempts }) => heard.push({ ok, attempts }))
  await act('begin', 1, 0)
  await act('pass', 0, 0)
  stop()
  expect([heard, ended]).toEqual([[{ ok: true, attempts: 1 }], ['1 answer']])
})
