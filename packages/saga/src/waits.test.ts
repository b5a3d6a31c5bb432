import { event, type Schema } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import type { Saga } from './definition.ts'
import { signal, signalSagas } from './signal.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { type Bench, bench } from './test/bench.ts'

interface Order {
  orderId: string
}

const schema: Schema<{ orderId: string; by: string }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      // The test's own schema: checked by the line below.
      const data = value as { orderId: string; by: string }
      return typeof data.by === 'string' ? { value: data } : { issues: [{ message: 'is missing', path: ['by'] }] }
    },
  },
}
const approved = event('order.approved', { schema, key: ({ orderId }) => orderId })
const ada = { by: 'ada', reason: 'looks good' }

function waiting({ calls }: Bench, otherwise: 'undo' | 'continue' = 'undo', name = 'order') {
  return saga<Order>(name, { version: 1, key: ({ orderId }) => orderId })
    .step('stock', { do: () => void calls.push('stock'), undo: () => void calls.push('stock back') })
    .wait('word', { for: approved, where: (c) => c.input.orderId, withinMs: 60_000, otherwise })
    .step('ship', { do: (c) => void calls.push(`ship by ${c.word?.by}`), undo: nothing('x') })
    .done()
}

function send(b: Bench, definition: Saga<Order>, by: string, options: { id?: string; orderId?: string } = {}) {
  const { orderId = 'o1', ...more } = options
  return b.database.transaction((tx) => signal(tx, definition, approved, { orderId, by }, more))
}

async function begin(b: Bench, definition: Saga<Order>, orderId = 'o1') {
  const { id } = await startSaga(b.database, definition, { orderId })
  await b.world.advance(0)
  return id
}

describe('a wait', () => {
  it('leaves the memory, and goes on at once with the event that comes', async () => {
    const b = bench()
    const definition = waiting(b)
    const worker = await b.run([definition])
    await begin(b, definition)
    expect(await b.only()).toMatchObject({ status: 'waiting', step: 'word', worker: undefined, failure: undefined })
    expect((await worker.health?.())?.detail).toContain('0 running, 0 waiting')
    await send(b, definition, 'bob', { orderId: 'another' })
    await b.world.advance(1_000)
    expect(b.calls).toEqual(['stock'])
    await send(b, definition, 'ada')
    await b.world.advance(0)
    expect(b.calls).toEqual(['stock', 'ship by ada'])
    expect((await b.only()).history.map(({ step, outcome }) => `${step} ${outcome}`)).toEqual([
      'stock done',
      'word waits',
      'word done',
      'ship done',
    ])
  })

  it('finds an event that came before, once', async () => {
    const b = bench()
    const definition = waiting(b)
    await send(b, definition, 'ada', { id: 'e1' })
    await send(b, definition, 'eve', { id: 'e1' })
    await b.run([definition])
    await begin(b, definition)
    expect(b.calls).toEqual(['stock', 'ship by ada'])
    const again = saga<Order>('order', { version: 2, key: () => 'another saga' })
      .wait('word', { for: approved, where: (c) => c.input.orderId, withinMs: 1_000, otherwise: 'undo' })
      .done()
    await b.run([again], { workerId: 'other' })
    await startSaga(b.database, again, { orderId: 'o1' })
    await b.world.advance(1_500)
    const [latest] = await b.admin.list()
    expect(latest).toMatchObject({ version: 2, status: 'compensated', failure: { code: 'ERR_WAIT_EXPIRED' } })
  })

  it('is undone when nothing comes in time, also after a restart', async () => {
    const b = bench()
    const definition = waiting(b)
    const worker = await b.run([definition])
    await begin(b, definition)
    const stopped = worker.stop()
    await b.world.advance(100)
    await stopped
    await b.world.advance(60_000)
    await b.run([definition])
    await b.world.advance(0)
    expect(b.calls).toEqual(['stock', 'stock back'])
    expect(await b.only()).toMatchObject({ status: 'compensated', failure: { code: 'ERR_WAIT_EXPIRED' } })
  })

  it('goes on without a result when it says so', async () => {
    const b = bench()
    const definition = waiting(b, 'continue')
    await b.run([definition])
    await begin(b, definition)
    await b.world.advance(61_000)
    expect(b.calls).toEqual(['stock', 'ship by undefined'])
  })

  it('takes an event that comes with the timeout rather than none', async () => {
    const b = bench()
    const definition = waiting(b)
    const worker = await b.run([definition])
    await begin(b, definition)
    const stopped = worker.stop()
    await b.world.advance(100)
    await stopped
    await b.world.advance(60_000)
    await send(b, definition, 'ada')
    await b.run([definition])
    await b.world.advance(0)
    expect(b.calls).toEqual(['stock', 'ship by ada'])
  })

  it('is not misled by a clock that jumps an hour either way', async () => {
    const b = bench()
    const definition = waiting(b)
    await b.run([definition])
    await begin(b, definition)
    b.world.jump(-3_600_000)
    await b.world.advance(5_000)
    expect((await b.only()).status).toBe('waiting')
    await send(b, definition, 'ada')
    await b.world.advance(300)
    expect(b.calls).toEqual(['stock', 'ship by ada'])
  })

  it('refuses data that does not fit the event', async () => {
    const b = bench()
    const wrong = b.database.transaction((tx) => signal(tx, waiting(b), approved, { orderId: 'o1' } as never))
    await expect(wrong).rejects.toMatchObject({ code: 'ERR_EVENT_INVALID' })
  })

  it('does not signal when the transaction rolls back', async () => {
    const b = bench()
    const definition = waiting(b)
    await b.run([definition])
    await begin(b, definition)
    const failing = b.database.transaction(async (tx) => {
      await signal(tx, definition, approved, { orderId: 'o1', by: 'ada' })
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    await b.world.advance(1_000)
    expect(b.calls).toEqual(['stock'])
  })
})

describe('what a "where" gives', () => {
  it.each<[string, () => unknown, string]>([
    ['nothing', () => undefined, 'undefined, wanted a text of 1 to 200 characters'],
    ['a number', () => 7, '7, wanted a text of 1 to 200 characters'],
    ['a long text', () => 'x'.repeat(300), `"${'x'.repeat(60)}…" (300 characters), wanted a text of 1 to 200 characters`],
    ['a promise', () => Promise.reject(new Error('later')), 'an instance of Promise, wanted a text of 1 to 200 characters'],
    ['a half of a surrogate pair', () => '\ud800', '"\\ud800", wanted a text without NUL and without halves of surrogate pairs'],
  ])('%s fails the attempt, and says where', async (_what, where, says) => {
    const b = bench()
    const definition = saga<Order>('order', { version: 1, key: ({ orderId }) => orderId })
      .wait('word', { for: approved, where: where as () => string, withinMs: 600_000, otherwise: 'undo' })
      .done()
    await b.run([definition])
    await begin(b, definition)
    const { status, failure, history } = await b.only()
    expect(failure).toEqual({ code: 'TypeError', message: `cannot wait at step "word": what its "where" gives is ${says}` })
    // It is tried again, as after any error of a "where".
    expect([status, ...history.map(({ outcome }) => outcome)]).toEqual(['waiting', 'failed'])
  })
})

describe('names with colons', () => {
  it.each([
    ['shop', 'eu:7', 'shop:eu', '7'],
    ['shop:eu', 'de:7', 'shop:eu:de', '7'],
  ])('"%s" and id "%s" are not taken for "%s" and "%s"', async (one, oneId, two, twoId) => {
    const b = bench()
    const definitions = [waiting(b, 'undo', one), waiting(b, 'undo', two)]
    await b.run(definitions)
    for (const definition of definitions) await begin(b, definition)
    for (const [index, id] of [oneId, twoId].entries()) await send(b, definitions[index] as Saga<Order>, one, { id })
    await b.world.advance(0)
    expect((await b.admin.list()).map(({ name, status }) => `${name} ${status}`).sort()).toEqual(
      [`${one} completed`, `${two} completed`].sort(),
    )
  })

  it('a saga does not take what another one waits for', async () => {
    const b = bench()
    const [one, two] = [waiting(b, 'undo', 'shop'), waiting(b, 'undo', 'shop:order.approved')]
    await b.run([one, two])
    // With the type between, "shop" and this key would be the same channel as the other saga's.
    await begin(b, one, 'order.approved:o1')
    await begin(b, two, 'o1')
    await send(b, two, 'bob')
    await b.world.advance(0)
    expect((await b.admin.list({ name: 'shop' }))[0]?.status).toBe('waiting')
    expect((await b.admin.list({ name: two.name }))[0]?.status).toBe('completed')
  })

  it('what was stored under a name without them is found', async () => {
    const b = bench()
    const definition = waiting(b)
    await b.run([definition])
    const id = await begin(b, definition)
    const [saga] = await b.database.read((tx) => tx.sql<{ channel: string }>`select channel from banyan_sagas where id = ${id}`)
    expect(saga?.channel).toBe('event:order:order.approved:o1')
    await send(b, definition, 'ada', { id: 'yes:1' })
    const [signal] = await b.database.read((tx) => tx.sql<{ id: string }>`select id from banyan_saga_signals`)
    expect(signal?.id).toBe('event:order:yes:1')
  })
})

it('signalSagas needs a wait', () => {
  const b = bench()
  const plain = saga<Order>('plain', { version: 1, key: ({ orderId }) => orderId })
    .step('a', { do: () => 1, undo: nothing('x') })
    .done()
  expect(() => signalSagas([plain])).toThrow('cannot signal sagas: none of "plain" waits for an event')
  expect(signalSagas([plain, waiting(b)]).name).toBe('consume order.approved')
})

describe('an approval', () => {
  const asking = ({ calls }: Bench) =>
    saga<Order>('order', { version: 1, key: ({ orderId }) => orderId })
      .step('stock', { do: () => void calls.push('stock'), undo: (c) => void calls.push(`stock back: ${c.reason}`) })
      .approve('boss', { withinMs: 60_000, otherwise: 'undo' })
      .step('ship', { do: (c) => void calls.push(`ship by ${c.boss.by}, ${JSON.stringify(c.boss.value)}`), undo: nothing('x') })
      .done()

  async function asked() {
    const b = bench()
    const definition = asking(b)
    await b.run([definition])
    return { ...b, id: await begin(b, definition) }
  }

  it('goes on by a yes with a value, which is kept', async () => {
    const { admin, id, calls, world } = await asked()
    await admin.approve(id, { ...ada, value: { limit: 7 } })
    await world.advance(0)
    expect(calls).toEqual(['stock', 'ship by ada, {"limit":7}'])
    expect((await admin.show(id)).decisions).toMatchObject([{ action: 'approve', step: 'boss', by: 'ada', why: 'looks good' }])
  })

  it('goes back by a no', async () => {
    const { admin, id, calls, world } = await asked()
    await admin.reject(id, { by: 'ada', reason: 'too dear' })
    await world.advance(0)
    expect(calls).toEqual(['stock', 'stock back: rejected'])
    expect(await admin.show(id)).toMatchObject({ status: 'compensated', failure: { code: 'rejected', message: 'ada: too dear' } })
  })

  it('takes one answer', async () => {
    const { admin, id } = await asked()
    const both = await Promise.allSettled([admin.approve(id, ada), admin.reject(id, ada)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    await expect(admin.approve(id, ada)).rejects.toMatchObject({ code: 'ERR_SAGA_STATE' })
  })

  it('is for sagas that wait for a person', async () => {
    const b = bench()
    const definition = waiting(b)
    await b.run([definition])
    const id = await begin(b, definition)
    await expect(b.admin.approve(id, ada)).rejects.toThrow('it is waiting at step "word", wanted one that waits for a person')
  })
})

describe('a child saga', () => {
  const inner = ({ calls }: Bench, refuses = false) =>
    saga<{ n: number }>('inner', { version: 1, key: ({ n }) => `${n}` })
      .step('one', { do: () => void calls.push('one'), undo: () => void calls.push('one back') })
      .sleep('rest', 10_000)
      .step('two', { do: () => (refuses ? { refused: 'no' as const } : calls.push('two')), undo: nothing('x') })
      .done(() => ({ from: 'inner' }))

  const outer = (b: Bench, child: Saga<{ n: number }, { from: string }>, last: () => unknown = () => undefined) =>
    saga<Order>('outer', { version: 1, key: ({ orderId }) => orderId })
      .step('stock', { do: () => void b.calls.push('stock'), undo: () => void b.calls.push('stock back') })
      .child('inside', child, {
        input: () => ({ n: 1 }),
        undo: (c) => void b.calls.push(`undo ${c.inside?.from}`),
        undoRetry: { baseMs: 100, capMs: 1_000 },
      })
      .step('ship', { do: (c) => last() ?? void b.calls.push(`ship from ${c.inside.from}`), undo: nothing('x') })
      .done()

  async function both(refuses = false, last?: () => unknown) {
    const b = bench()
    const child = inner(b, refuses)
    const definition = outer(b, child, last)
    await b.run([definition, child])
    await startSaga(b.database, definition, { orderId: 'o1' })
    await b.world.advance(0)
    const [innerSaga, outerSaga] = await b.admin.list()
    return { ...b, outer: outerSaga?.id ?? '', inner: innerSaga?.id ?? '' }
  }

  it('is started under a stable key, and gives its output', async () => {
    const { world, calls, admin, outer, inner } = await both()
    expect(await admin.show(inner)).toMatchObject({ name: 'inner', key: `${outer}:inside`, status: 'waiting' })
    await world.advance(10_500)
    expect(calls).toEqual(['stock', 'one', 'two', 'ship from inner'])
  })

  it('that is undone is a refusal', async () => {
    const { world, calls, admin, outer } = await both(true)
    await world.advance(10_500)
    expect(calls).toEqual(['stock', 'one', 'one back', 'stock back'])
    expect(await admin.show(outer)).toMatchObject({ status: 'compensated', failure: { code: 'no' } })
  })

  it('is undone as it says when it has ended', async () => {
    const { world, calls } = await both(false, () => ({ refused: 'late' }))
    await world.advance(11_000)
    expect(calls).toEqual(['stock', 'one', 'two', 'undo inner', 'stock back'])
  })

  it('is cancelled when the one that started it is', async () => {
    const { world, calls, admin, outer, inner } = await both()
    await admin.cancel(outer, ada)
    await world.advance(3_000)
    expect(calls).toEqual(['stock', 'one', 'one back', 'stock back'])
    expect(await admin.show(inner)).toMatchObject({ status: 'compensated', failure: { code: 'ERR_SAGA_CANCELLED' } })
    expect(await admin.show(outer)).toMatchObject({ status: 'compensated', failure: { code: 'ERR_SAGA_CANCELLED' } })
  })
})
