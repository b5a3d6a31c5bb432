// Times that definitions ask for: what no timer takes, or no column holds, is refused where it is said.
import { event, type Schema } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import { flow } from './flow.ts'
import { watchFlows } from './flow-watcher.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { bench } from './test/bench.ts'
import { runSagas } from './worker.ts'

interface Trip {
  tripId: string
}

const key = ({ tripId }: Trip) => tripId
const trip = () => saga<Trip>('trip', { version: 1, key })
const none = nothing('x')
const schema: Schema<object, object> = { '~standard': { version: 1, vendor: 'test', validate: () => ({ value: {} }) } }
const [paid, shipped] = [event('paid', { schema, key: () => '' }), event('shipped', { schema, key: () => '' })]
const CENTURIES = 31_536_000_000_000

describe('a time that no column holds is refused', () => {
  it.each([Number.MAX_SAFE_INTEGER, CENTURIES + 1])('%d ms, when it is defined', (ms) => {
    const wanted = (least: number) => `wanted a whole number from ${least} to ${CENTURIES}`
    const waits = { withinMs: ms, otherwise: 'undo' } as const
    expect(() => trip().approve('boss', waits)).toThrow(`"withinMs" is ${ms}, ${wanted(1)}`)
    expect(() => trip().wait('money', { ...waits, for: paid, where: () => '' })).toThrow(wanted(1))
    expect(() => saga<Trip>('trip', { version: 1, key, deadlineMs: ms })).toThrow(wanted(1))
    expect(() => trip().step('a', { do: () => 1, undo: none, retry: { capMs: ms } })).toThrow(wanted(100))
    expect(() => trip().step('a', { do: () => 1, undo: none, undoRetry: { baseMs: ms } })).toThrow(wanted(1))
    expect(() => trip().sleep('rest', ms)).toThrow(`step "rest": it sleeps ${ms} ms, wanted a number from 0 to ${CENTURIES}`)
    expect(() => flow('f', { version: 1 }).starts(paid).ends(shipped).withinMs(ms)).toThrow(wanted(1))
    expect(() => watchFlows([flow('f', { version: 1 }).starts(paid).ends(shipped).withinMs(1)], { graceMs: ms })).toThrow(wanted(0))
  })

  it.each([-1, Number.NaN])('a sleep of %d ms, when it is defined', (ms) => {
    expect(() => trip().sleep('rest', ms)).toThrow(RangeError)
  })

  it.each([1e300, CENTURIES + 1])('a sleep of %d ms, when it is decided, and the saga is undone', async (ms) => {
    const b = bench()
    const definition = trip()
      .sleep('rest', () => ms)
      .done()
    await b.run([definition])
    await startSaga(b.database, definition, { tripId: 't1' })
    await b.world.advance(100)
    const message = expect.stringContaining(`wanted a number of milliseconds from 0 to ${CENTURIES}`)
    expect(await b.only()).toMatchObject({ status: 'compensated', failure: { code: 'ERR_DECISION_INVALID', message } })
  })
})

it('the longest times there may be are stored', async () => {
  const b = bench()
  const definition = trip()
    .sleep('rest', () => CENTURIES)
    .done()
  await b.run([definition])
  const { id } = await startSaga(b.database, definition, { tripId: 't1' })
  await b.world.advance(100)
  const { createdAt, wakeAt } = await b.admin.show(id)
  expect((wakeAt ?? 0) - createdAt).toBe(CENTURIES)
})

it('a time that no timer takes is refused', () => {
  const wanted = 'to 2147483647'
  const withinMs = 2 ** 31
  expect(() => trip().step('a', { do: () => 1, undo: none, withinMs })).toThrow(wanted)
  expect(() => trip().local('a', { do: () => 1, undo: none, withinMs })).toThrow(wanted)
  for (const option of ['leaseMs', 'pollMs', 'drainMs']) expect(() => runSagas([], { [option]: 2 ** 31 })).toThrow(wanted)
})
