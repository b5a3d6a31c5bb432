import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import type { SagaCodec } from './definition.ts'
import { renameSteps } from './migrate.ts'
import { sagas } from './recover.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { sagaSignalsPort } from './store.ts'
import { type Bench, bench } from './test/bench.ts'

interface Trip {
  tripId: string
}

const key = ({ tripId }: Trip) => tripId
const v1 = { version: 1, key }
const t1 = { tripId: 't1' }
const ada = { by: 'ada', reason: 'the customer wants out' }

const statuses = async ({ admin }: Bench) => (await admin.list()).map(({ name, status }) => `${name} ${status}`)

async function begin(b: Bench, parent: ReturnType<typeof parentOf>, children: Parameters<Bench['run']>[0]): Promise<string> {
  await b.run([parent, ...children])
  const { id } = await startSaga(b.database, parent, t1)
  await b.world.advance(1_000)
  return id
}

const parentOf = (child: ReturnType<typeof resting>, undo: (() => void) | ReturnType<typeof nothing>) =>
  saga<Trip>('parent', v1)
    .child('kid', child, { input: (c) => c.input, undo })
    .done()

/** A room, a rest of ten minutes, a last step. */
const resting = (b: Bench) =>
  saga<Trip>('child', v1)
    .step('room', { do: () => void b.calls.push('room'), undo: () => void b.calls.push('room back') })
    .sleep('rest', 600_000)
    .step('last', { do: () => void b.calls.push('last'), undo: nothing('it is only a note') })
    .done()

describe('the undo of a child', () => {
  it('cancels one that is stuck, so that it does not stay on its way back with nobody', async () => {
    const b = bench()
    const keys = { lost: false }
    const codec: SagaCodec = {
      encode: (text) => text,
      decode(text) {
        if (keys.lost) throw new Error('no key')
        return text
      },
    }
    const child = saga<Trip>('child', { ...v1, codec })
      .step('room', { do: () => void b.calls.push('room'), undo: () => void b.calls.push('room back') })
      .approve('boss', { withinMs: 600_000, otherwise: 'undo' })
      .done()
    const id = await begin(
      b,
      parentOf(child, () => {}),
      [child],
    )
    const [kid] = await b.admin.list({ name: 'child' })
    keys.lost = true
    await b.admin.approve(kid?.id ?? '', ada)
    await b.world.advance(500)
    expect(await statuses(b)).toEqual(['child stuck', 'parent waiting'])
    keys.lost = false
    await b.admin.cancel(id, ada)
    await b.world.advance(1_000)
    expect(await statuses(b)).toEqual(['child compensated', 'parent compensated'])
    expect(b.calls).toEqual(['room', 'room back'])
  })

  it('cancels one of an older version by the steps that one has', async () => {
    const b = bench()
    const one = resting(b)
    const two = saga<Trip>('child', { version: 2, key, migrate: { 1: (old) => renameSteps(old, { rest: 'pause' }) } })
      .step('room', { do: () => void b.calls.push('room'), undo: () => void b.calls.push('room back') })
      .sleep('pause', 600_000)
      .step('last', { do: () => void b.calls.push('last'), undo: nothing('it is only a note') })
      .done()
    const parent = parentOf(one, () => {})
    const worker = await b.run([one, parent])
    const { id } = await startSaga(b.database, parent, t1)
    await b.world.advance(100)
    const stopped = worker.stop()
    await b.world.advance(100)
    await stopped
    await b.run([two, parentOf(two, () => {})])
    await b.world.advance(100)
    await b.admin.cancel(id, ada)
    await b.world.advance(1_000)
    expect(await statuses(b)).toEqual(['child compensated', 'parent compensated'])
  })

  it('waits for one past its pivot as long as that takes, and then undoes what it did', async () => {
    const b = bench()
    const child = saga<Trip>('child', v1)
      .pivot('go', { local: () => 1 })
      .sleep('rest', 600_000)
      .step('last', { do: () => void b.calls.push('last') })
      .done()
    const parent = saga<Trip>('parent', v1)
      .child('kid', child, { input: (c) => c.input, undo: () => void b.calls.push('kid back') })
      .done()
    await b.run([child, parent])
    const { id } = await startSaga(b.database, parent, t1)
    await b.world.advance(1_000)
    await b.admin.cancel(id, ada)
    await b.world.advance(300_000)
    expect(await statuses(b)).toEqual(['child waiting', 'parent waiting'])
    expect((await b.admin.show(id)).history.length).toBeLessThan(5)
    await b.world.advance(400_000)
    expect(await statuses(b)).toEqual(['child completed', 'parent compensated'])
    expect(b.calls).toEqual(['last', 'kid back'])
  })

  it('sees the end that came while it waited for the channel, where the database lets it', async () => {
    const b = bench()
    const child = saga<Trip>('child', v1)
      .pivot('go', { local: () => 1 })
      .sleep('rest', 600_000)
      .done()
    const parent = saga<Trip>('parent', v1)
      .child('kid', child, { input: (c) => c.input, undo: () => void b.calls.push('kid back') })
      .done()
    await b.run([child, parent])
    const { id } = await startSaga(b.database, parent, t1)
    await b.world.advance(1_000)
    // As another transaction does that holds the channel first, and is seen after it: READ COMMITTED.
    const signals = b.database.store(sagaSignalsPort)
    const { take } = signals
    const ended = JSON.stringify({ status: 'completed' })
    Object.assign(signals, {
      take: async (...asked: Parameters<typeof take>) => {
        const [tx] = asked
        await tx.sql`update banyan_sagas set status = 'completed', live = 0, state = ${ended}, wake_at = null where name = 'child'`
        return take(...asked)
      },
    })
    await b.admin.cancel(id, ada)
    await b.world.advance(1_000)
    expect(await statuses(b)).toEqual(['child completed', 'parent compensated'])
    expect(b.calls).toEqual(['kid back'])
  })

  it('cancels one on its way also where nothing is to be undone after its end', async () => {
    const b = bench()
    const id = await begin(b, parentOf(resting(b), nothing('its mails are out')), [resting(b)])
    await b.admin.cancel(id, ada)
    await b.world.advance(1_000)
    expect(await statuses(b)).toEqual(['child compensated', 'parent compensated'])
    expect(b.calls).toEqual(['room', 'room back'])
  })

  it('asks nothing of one that has ended, where nothing is to be undone then', async () => {
    const b = bench()
    const child = saga<Trip>('child', v1)
      .step('room', { do: () => void b.calls.push('room'), undo: () => void b.calls.push('room back') })
      .done()
    const parent = saga<Trip>('parent', v1)
      .child('kid', child, { input: (c) => c.input, undo: nothing('its mails are out') })
      .sleep('rest', 600_000)
      .done()
    await b.run([child, parent])
    const { id } = await startSaga(b.database, parent, t1)
    await b.world.advance(1_000)
    await b.admin.cancel(id, ada)
    await b.world.advance(1_000)
    expect(await statuses(b)).toEqual(['child completed', 'parent compensated'])
    expect((await b.admin.show(id)).history.map(({ action }) => action)).not.toContain('undo')
  })
})

describe('a child that somebody ends by a decision', () => {
  it('tells the saga that started it when it is cancelled before it has done anything', async () => {
    const b = bench()
    const child = saga<Trip>('child', v1).sleep('rest', 600_000).done()
    const parent = saga<Trip>('parent', v1)
      .child('kid', child, { input: (c) => c.input, undo: () => {} })
      .done()
    await b.run([child, parent])
    const { id } = await startSaga(b.database, parent, t1)
    await b.world.advance(1_000)
    const [kid] = await b.admin.list({ name: 'child' })
    await b.admin.cancel(kid?.id ?? '', ada)
    await b.world.advance(1_000)
    expect(await b.admin.show(id)).toMatchObject({ status: 'compensated', failure: { code: 'ERR_SAGA_CANCELLED' } })
  })

  it('does not end behind the back of that one where its codec is not at hand', async () => {
    const b = bench()
    const codec: SagaCodec = { encode: (text) => `#${text}`, decode: (text) => text.slice(1) }
    const child = saga<Trip>('child', { ...v1, codec })
      .sleep('rest', 600_000)
      .done()
    const parent = saga<Trip>('parent', v1)
      .child('kid', child, { input: (c) => c.input, undo: () => {} })
      .done()
    await b.run([child, parent])
    const { id } = await startSaga(b.database, parent, t1)
    await b.world.advance(1_000)
    const [kid] = await b.admin.list({ name: 'child' })
    await expect(b.admin.cancel(kid?.id ?? '', ada)).rejects.toMatchObject({ code: 'ERR_SAGA_ENCODED' })
    await sagas(b.database, { definitions: [child] }).cancel(kid?.id ?? '', ada)
    await b.world.advance(1_000)
    expect((await b.admin.show(id)).status).toBe('compensated')
  })
})
