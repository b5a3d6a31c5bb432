import { manualWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { circuitBreaker } from './circuit-breaker.ts'
import { policy } from './policy.ts'

/** A breaker that is half-open, with its probe under way and calls that wait for it. */
async function waiting(maxWaiting = 10) {
  const world = manualWorld()
  const probes = { needed: 1, maxWaitMs: 5_000, overflow: 'wait', maxWaiting } as const
  const breaker = circuitBreaker({ failures: 1, coolDownMs: 1_000, probes, world })
  const stock = policy('stock', breaker)
  await stock.outcome(() => Promise.reject(new Error('down')))
  await world.advance(1_000)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const probe = stock.outcome(() => promise)
  const controller = new AbortController()
  const ended: string[] = []
  const call = (id: string, signal?: AbortSignal) =>
    void stock
      .outcome(() => id, signal ? { signal } : {})
      .then((outcome) => ended.push(`${id} ${outcome.ok ? 'done' : outcome.rejected?.rejectedBy}`))
  for (const id of ['a', 'b']) call(id)
  call('c', controller.signal)
  await world.advance(0)
  return { world, breaker, stock, probe, controller, ended, call, pass: () => resolve('answer'), fail: () => reject(new Error('down')) }
}

test('those who wait go on, in their order, when the probes are good', async () => {
  const { world, breaker, ended, pass } = await waiting()
  expect(ended).toEqual([])
  expect(world.pendingTimers()).toBe(1)
  pass()
  await world.advance(0)
  expect(ended).toEqual(['a done', 'b done', 'c done'])
  expect([breaker.state, world.pendingTimers()]).toEqual(['closed', 0])
})

test('those who wait are rejected when the probes are bad', async () => {
  const { world, breaker, ended, fail } = await waiting()
  fail()
  await world.advance(0)
  expect(ended).toEqual(['a breaker', 'b breaker', 'c breaker'])
  expect([breaker.state, world.pendingTimers()]).toEqual(['open', 0])
})

test('any number of calls that wait and then end at once do so one after the other', async () => {
  const { world, ended, call, pass } = await waiting(5_000)
  for (let i = 0; i < 4_000; i += 1) call(`${i}`)
  pass()
  await world.advance(0)
  expect(ended).toHaveLength(4_003)
})

test('nobody waits longer than a probe may take', async () => {
  const { world, ended } = await waiting()
  await world.advance(4_999)
  expect(ended).toEqual([])
  await world.advance(1)
  expect(ended).toEqual(['a breaker', 'b breaker', 'c breaker'])
  expect(world.pendingTimers()).toBe(0)
})

test('one who is aborted leaves at once; more than may wait are rejected at once', async () => {
  const { world, ended, controller, call } = await waiting(3)
  call('d')
  await world.advance(0)
  expect(ended).toEqual(['d breaker'])
  controller.abort(new Error('left'))
  await world.advance(0)
  expect(ended).toEqual(['d breaker', 'c cancelled'])
  call('e')
  await world.advance(0)
  expect(ended).toHaveLength(2)
})

test.each([
  ['forceOpen', 'breaker'],
  ['disable', 'done'],
  ['reset', 'done'],
] as const)('%s ends the waiting: %s', async (command, end) => {
  const { world, breaker, ended } = await waiting()
  breaker[command]()
  await world.advance(0)
  expect(ended).toEqual([`a ${end}`, `b ${end}`, `c ${end}`])
})

test('a probe that is aborted gives its place to the next who waits', async () => {
  const world = manualWorld()
  const breaker = circuitBreaker({ failures: 1, coolDownMs: 1_000, probes: { needed: 1, overflow: 'wait' }, world })
  const stock = policy('stock', breaker)
  await stock.outcome(() => Promise.reject(new Error('down')))
  await world.advance(1_000)
  const controller = new AbortController()
  void stock.outcome(() => new Promise(() => {}), { signal: controller.signal })
  const next = stock.outcome(() => 'answer')
  controller.abort(new Error('left'))
  expect(await next).toMatchObject({ ok: true, value: 'answer' })
  expect(breaker.state).toBe('closed')
})

test('whatever happens, everybody ends within what probes and cool-down allow, and no timer is left', async () => {
  const step = fc.record({
    waitMs: fc.nat({ max: 400 }),
    ms: fc.nat({ max: 1_500 }),
    ok: fc.boolean(),
    abortMs: fc.option(fc.nat({ max: 500 })),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const world = manualWorld()
      const probes = { allowed: 2, needed: 2, maxWaitMs: 700, overflow: 'wait' } as const
      const stock = policy('stock', circuitBreaker({ failures: 1, coolDownMs: 300, probes, world }))
      const started: number[] = []
      let ended = 0
      for (const { waitMs, ms, ok, abortMs } of steps) {
        await world.advance(waitMs)
        const controller = new AbortController()
        if (abortMs !== null) world.after(abortMs, () => controller.abort(new Error('left')))
        const work = async () => {
          await new Promise<void>((resolve) => void world.after(ms, resolve))
          if (!ok) throw new Error('down')
        }
        started.push(world.monotonic())
        void stock.outcome(work, { signal: controller.signal }).then(() => (ended += 1))
      }
      await world.advance(1_500 + 2 * 700)
      expect(ended).toBe(steps.length)
      expect(world.pendingTimers()).toBe(0)
    }),
    { numRuns: 60 },
  )
})

test('nobody waits longer than a probe may take, also when the caller of a probe leaves and the next one hangs', async () => {
  const world = manualWorld()
  const probes = { needed: 1, maxWaitMs: 5_000, overflow: 'wait' } as const
  const stock = policy('stock', circuitBreaker({ failures: 1, coolDownMs: 1_000, probes, world }))
  await stock.outcome(() => Promise.reject(new Error('down')))
  await world.advance(1_000)
  const leaving = new AbortController()
  void stock.outcome(() => new Promise(() => {}), { signal: leaving.signal })
  void stock.outcome(() => new Promise(() => {}))
  let ended: unknown
  void stock
    .outcome(() => 1)
    .then((outcome) => {
      ended = outcome
    })
  await world.advance(4_000)
  leaving.abort()
  await world.advance(999)
  expect(ended).toBeUndefined()
  await world.advance(1)
  expect(ended).toMatchObject({ ok: false, rejected: { rejectedBy: 'breaker' } })
})
