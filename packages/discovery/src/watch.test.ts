import { type Instance, manualWorld, type Snapshot, silentLogger, sleep } from '@banyan/core'
import { expect, test } from 'vitest'
import type { Listing } from './consul-instance.ts'
import { type WatchOptions, watchService } from './watch.ts'

const instance = (id: string): Instance => ({ id, service: 'orders', host: '127.0.0.1', port: 1 })
const listing = (index: number, ids: readonly string[], failing: readonly string[] = []): Listing => ({
  index,
  healthy: ids.map(instance),
  failing: new Set(failing),
})

/** A watch of a registry that does as told. */
function setUp() {
  const world = manualWorld()
  const questions: { index: number; signal: AbortSignal }[] = []
  let behave: WatchOptions['ask'] = () => Promise.reject(new Error('away'))
  const ask: WatchOptions['ask'] = (question) => {
    questions.push({ index: question.index, signal: question.signal })
    return behave(question)
  }
  const massExpiry = { share: 0.15, verifyMs: 5_000 }
  const watch = watchService({ service: 'orders', ask, waitMs: 30_000, massExpiry, world, log: silentLogger })
  const heard: Snapshot[] = []
  watch.listen((snapshot) => heard.push(snapshot))
  return {
    world,
    watch,
    questions,
    heard,
    behaves(next: WatchOptions['ask']) {
      behave = next
    },
    last: () => heard.at(-1),
  }
}
const never = () => new Promise<Listing>(() => {})

test('a registry that never answers, and does not mind being told to stop: stale when it is overdue, then asked again for the whole list', async () => {
  const { world, behaves, questions, last } = setUp()
  behaves(async ({ index, waitMs, signal }) => {
    if (index === 0) return listing(7, ['a', 'b'])
    await sleep(world, waitMs, signal)
    return listing(7, ['a', 'b'])
  })
  await world.advance(1_000)
  expect(last()).toMatchObject({ stale: false, revision: 1 })
  behaves(never)
  await world.advance(30_000)
  expect(questions.at(-1)?.index).toBe(7)
  await world.advance(35_800)
  expect(last()).toMatchObject({ stale: false })
  await world.advance(1_500)
  expect(last()).toMatchObject({ stale: true, revision: 1 })
  expect(last()?.instances.map(({ id }) => id)).toEqual(['a', 'b'])
  expect(questions.at(-1)?.index).toBe(0)
  expect(questions.some(({ index, signal }) => index === 7 && signal.aborted)).toBe(true)
  behaves(({ index }) => (index === 0 ? Promise.resolve(listing(9, ['a', 'b', 'c'])) : never()))
  await world.advance(8_000)
  expect(last()).toMatchObject({ stale: false, revision: 2 })
})

test('a registry that never answered at all is stale, not empty', async () => {
  const { world, behaves, last } = setUp()
  behaves(never)
  await world.advance(8_300)
  expect(last()).toEqual({ instances: [], revision: 0, stale: true })
})

test('an answer that comes after it was given up is not heard', async () => {
  const { world, behaves, heard } = setUp()
  let late: ((answer: Listing) => void) | undefined
  behaves(
    () =>
      new Promise((resolve) => {
        late ??= resolve
      }),
  )
  await world.advance(5_000 + 2_000)
  late?.(listing(1, ['a']))
  await world.advance(10)
  expect(heard.every(({ revision }) => revision === 0)).toBe(true)
})

test('many that go at once are kept and asked about again, at the time that was set', async () => {
  const { world, behaves, questions, last } = setUp()
  const all = Array.from({ length: 10 }, (_, index) => `i${index}`)
  behaves(({ index }) => (index === 0 ? Promise.resolve(listing(1, all)) : never()))
  await world.advance(200)
  const asked = world.monotonic()
  behaves(async ({ index, waitMs, signal }) => {
    if (index === 2) await sleep(world, waitMs, signal)
    return listing(2, all.slice(5), all.slice(0, 5))
  })
  // The question from before is overdue first; the list that is asked for then has half of them.
  await world.advance(38_000 + 200)
  expect(last()?.instances).toHaveLength(10)
  await world.advance(5_000)
  expect(last()?.instances).toHaveLength(5)
  expect(last()?.stale).toBe(false)
  expect(world.monotonic() - asked).toBeGreaterThan(38_000)
  expect(questions.length).toBeLessThan(8)
})

test('a listener that another one takes out is told nothing more', async () => {
  const { world, watch, behaves } = setUp()
  const heard: string[] = []
  const leave: (() => void)[] = []
  leave.push(watch.listen(() => leave[1]?.()))
  leave.push(watch.listen(() => heard.push('after it left')))
  behaves(({ index }) => (index === 0 ? Promise.resolve(listing(1, ['a'])) : never()))
  await world.advance(1_000)
  expect(heard).toEqual([])
})

test('stopped, it asks no more and holds no timer', async () => {
  const { world, watch, behaves, questions } = setUp()
  behaves(never)
  await world.advance(100)
  watch.stop()
  await world.advance(0)
  const before = questions.length
  await world.advance(100_000)
  expect(questions).toHaveLength(before)
  expect(world.pendingTimers()).toBe(0)
})
