import { manualWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BulkheadOptions, bulkhead } from './bulkhead.ts'
import { policy } from './policy.ts'
import { timeout } from './timeout.ts'

/** Calls that the test ends by hand. `started` and `log` are in the order of things. */
function setup(options: Omit<BulkheadOptions, 'world'>) {
  const world = manualWorld()
  const layer = bulkhead({ ...options, world })
  const stock = policy('stock', layer)
  const started: number[] = []
  const log: string[] = []
  const running = new Map<number, () => void>()
  const controllers = new Map<number, AbortController>()

  function call(id: number): void {
    const controller = new AbortController()
    controllers.set(id, controller)
    const work = () =>
      new Promise<void>((resolve) => {
        started.push(id)
        running.set(id, resolve)
      })
    void stock.outcome(work, { signal: controller.signal }).then((outcome) => {
      log.push(`${id} ${outcome.ok ? 'done' : (outcome.rejected?.rejectedBy ?? 'failed')}`)
    })
  }
  async function finish(id: number): Promise<void> {
    running.get(id)?.()
    running.delete(id)
    await world.advance(0)
  }
  async function abort(id: number): Promise<void> {
    controllers.get(id)?.abort()
    await world.advance(0)
  }
  return { world, layer, stock, call, finish, abort, started, log, running }
}

test('runs `limit` calls at once, lets `queue` wait and turns the rest away', async () => {
  const { world, layer, stock, call, finish, started } = setup({ limit: 2, queue: 1 })
  for (const id of [1, 2, 3]) call(id)
  expect(await stock.outcome(() => 4)).toMatchObject({
    ok: false,
    error: { code: 'ERR_BULKHEAD_FULL', status: 503, message: 'cannot call "stock": its bulkhead is full, 2 calls run and 1 wait' },
    rejected: { rejectedBy: 'bulkhead' },
    attempts: 0,
  })
  expect([layer.active, layer.queued, started]).toEqual([2, 1, [1, 2]])
  await finish(1)
  expect([layer.active, layer.queued, started]).toEqual([2, 0, [1, 2, 3]])
  await finish(2)
  await finish(3)
  expect([layer.active, layer.queued, world.pendingTimers()]).toEqual([0, 0, 0])
})

test.each([
  ['fifo', [1, 2, 3, 4]],
  ['lifo', [1, 4, 3, 2]],
] as const)('%s decides who goes next', async (order, wanted) => {
  const { call, finish, started } = setup({ limit: 1, queue: 3, order })
  for (const id of [1, 2, 3, 4]) call(id)
  for (const id of wanted) await finish(id)
  expect(started).toEqual(wanted)
})

test('nobody waits longer than maxWaitMs, and the timer goes with the last who waits', async () => {
  const { world, call, finish, log } = setup({ limit: 1, queue: 3, maxWaitMs: 50 })
  call(1)
  call(2)
  await world.advance(30)
  call(3)
  await world.advance(20)
  expect(log).toEqual(['2 bulkhead'])
  await finish(1)
  expect(log).toEqual(['2 bulkhead', '1 done'])
  expect(world.pendingTimers()).toBe(0)
  await finish(3)
  expect(log).toEqual(['2 bulkhead', '1 done', '3 done'])
})

test('any number of calls that wait and then end at once do so one after the other', async () => {
  const { world, layer, stock } = setup({ limit: 1, queue: 10_000 })
  let finish = () => {}
  const first = stock.outcome(() => new Promise<void>((resolve) => (finish = resolve)))
  let done = 0
  for (let i = 0; i < 10_000; i += 1) void stock.outcome(() => (done += 1))
  expect(layer.queued).toBe(10_000)
  finish()
  await first
  await world.advance(0)
  expect([done, layer.active, layer.queued]).toEqual([10_000, 0, 0])
})

test('a function that throws gives its place back', async () => {
  const { layer, stock } = setup({ limit: 1 })
  const broken = () => {
    throw new Error('broken')
  }
  expect(await stock.outcome(broken)).toMatchObject({ error: { message: 'broken' } })
  expect(layer.active).toBe(0)
  expect(await stock.run(() => 7)).toBe(7)
})

test('a timeout outside leaves the place to the function until it is done; a timeout inside takes it back', async () => {
  const world = manualWorld()
  const outside = bulkhead({ limit: 1, world })
  const inside = bulkhead({ limit: 1, world })
  let finish = () => {}
  const deaf = () => new Promise<void>((resolve) => (finish = resolve))
  const first = policy('stock', timeout(100, { world }), outside).outcome(deaf)
  await world.advance(100)
  expect(await first).toMatchObject({ error: { code: 'ERR_TIMEOUT' } })
  expect(outside.active).toBe(1)
  finish()
  await world.advance(0)
  expect(outside.active).toBe(0)
  const second = policy('stock', inside, timeout(100, { world })).outcome(deaf)
  await world.advance(100)
  expect(await second).toMatchObject({ error: { code: 'ERR_TIMEOUT' } })
  expect(inside.active).toBe(0)
})

test('agrees with two plain lists', async () => {
  const step = fc.record({ act: fc.constantFrom('call', 'call', 'finish', 'abort', 'wait'), pick: fc.nat({ max: 100 }) })
  const options = fc.record({
    limit: fc.integer({ min: 1, max: 3 }),
    queue: fc.integer({ min: 0, max: 3 }),
    order: fc.constantFrom('fifo' as const, 'lifo' as const),
  })
  await fc.assert(
    fc.asyncProperty(options, fc.array(step, { maxLength: 30 }), async ({ limit, queue, order }, steps) => {
      const { world, layer, call, finish, abort, log } = setup({ limit, queue, order, maxWaitMs: 50 })
      const running: number[] = []
      let waiting: { id: number; since: number }[] = []
      const wanted: string[] = []
      const admit = () => {
        while (running.length < limit && waiting.length > 0) {
          const next = order === 'fifo' ? waiting.shift() : waiting.pop()
          if (next) running.push(next.id)
        }
      }
      for (const [id, { act, pick }] of steps.entries()) {
        if (act === 'call') {
          call(id)
          if (running.length < limit || waiting.length < queue) waiting.push({ id, since: world.monotonic() })
          else wanted.push(`${id} bulkhead`)
        } else if (act === 'finish' && running.length > 0) {
          const [done] = running.splice(pick % running.length, 1)
          wanted.push(`${done} done`)
          await finish(Number(done))
        } else if (act === 'abort' && waiting.length > 0) {
          const [gone] = waiting.splice(pick % waiting.length, 1)
          wanted.push(`${gone?.id} cancelled`)
          await abort(Number(gone?.id))
        } else if (act === 'wait') {
          const until = world.monotonic() + pick
          for (const { id } of waiting.filter(({ since }) => since + 50 <= until)) wanted.push(`${id} bulkhead`)
          waiting = waiting.filter(({ since }) => since + 50 > until)
          await world.advance(pick)
        }
        admit()
        await world.advance(0)
        expect([layer.active, layer.queued, log.toSorted()]).toEqual([running.length, waiting.length, wanted.toSorted()])
        expect(world.pendingTimers()).toBe(waiting.length > 0 ? 1 : 0)
      }
    }),
    { numRuns: 60 },
  )
})

test('bad options are refused by name', () => {
  expect(() => bulkhead({ limit: 0 })).toThrow('cannot create bulkhead: "limit" is 0, wanted a whole number from 1')
  expect(() => bulkhead({ limit: 1, queue: -1 })).toThrow('"queue" is -1')
  expect(() => bulkhead({ limit: 1, maxWaitMs: 0 })).toThrow('"maxWaitMs" is 0')
  expect(() => bulkhead({ limit: 1, order: 'random' as 'fifo' })).toThrow('"order" is "random", wanted "fifo" or "lifo"')
})
