import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import type { SagaCodec, SagaOptions, StoredSaga } from './definition.ts'
import { renameSteps } from './migrate.ts'
import { sagas } from './recover.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { type Bench, bench } from './test/bench.ts'

interface Trip {
  tripId: string
  name?: string
}

const ada = { by: 'ada', reason: 'seen to' }

async function stop(b: Bench, worker: { stop(): Promise<void> }): Promise<void> {
  const stopped = worker.stop()
  await b.world.advance(10)
  await stopped
}

describe('a new version', () => {
  const first = (b: Bench) =>
    saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('room', { do: () => 'room 7', undo: () => void b.calls.push('room back') })
      .sleep('rest', 60_000)
      .step('plane', { do: () => void b.calls.push('plane'), undo: nothing('x') })
      .done()

  const second = (b: Bench, migrate: SagaOptions<Trip & { from: string }>['migrate']) =>
    saga<Trip & { from: string }>('trip', { version: 2, key: ({ tripId }) => tripId, ...(migrate && { migrate }) })
      .step('hotel', { do: () => 'room 8', undo: () => void b.calls.push('hotel back') })
      .sleep('rest', 60_000)
      .step('flight', { do: (c) => void b.calls.push(`flight from ${c.input.from}, ${c.hotel}`), undo: nothing('x') })
      .done()

  async function parkedInFirst(b: Bench) {
    const old = first(b)
    const worker = await b.run([old])
    await startSaga(b.database, old, { tripId: 't1' })
    await b.world.advance(0)
    await stop(b, worker)
  }

  it('takes sagas of an older one over as "migrate" says, and goes on with them', async () => {
    const b = bench()
    await parkedInFirst(b)
    const migrate = (old: StoredSaga) => ({ ...renameSteps(old, { room: 'hotel', plane: 'flight' }), input: { tripId: 't1', from: 'Ulm' } })
    await b.run([second(b, { 1: migrate })])
    await b.world.advance(61_000)
    expect(b.calls).toEqual(['flight from Ulm, room 7'])
    const shown = await b.only()
    expect(shown).toMatchObject({ version: 2, status: 'completed', input: { tripId: 't1', from: 'Ulm' }, results: { hotel: 'room 7' } })
    expect(shown.history.map(({ action, step }) => `${action} ${step}`)).toContain('migrate rest')
  })

  it('stops a saga whose migration throws, or names a step it does not have', async () => {
    for (const [code, migrate] of [
      ['ERR_SAGA_MIGRATION', () => JSON.parse('{')],
      ['ERR_STEP_UNKNOWN', (old: StoredSaga) => ({ state: old.state })],
    ] as const) {
      const b = bench()
      await parkedInFirst(b)
      await b.run([second(b, { 1: migrate })])
      await b.world.advance(61_000)
      expect(await b.only()).toMatchObject({ status: 'stuck', failure: { code } })
      expect(b.calls).toEqual([])
    }
  })

  it('leaves older ones to programs that know them, and says which', async () => {
    const b = bench()
    const old = first(b)
    const { id } = await startSaga(b.database, old, { tripId: 't1' })
    await b.run([second(b, {})])
    await b.world.advance(1_000)
    expect((await b.only()).version).toBe(1)
    expect(b.logged.find(({ message }) => message.includes('does not have'))?.fields).toMatchObject({ version: 1, ids: [id] })
  })

  it('is refused when it migrates from itself or the future', () => {
    expect(() => saga<Trip>('trip', { version: 2, key: String, migrate: { 2: (old) => old } })).toThrow('"migrate" is 2')
  })
})

/** Turns texts round, and cannot read what it has not written, once it is broken. */
function reversing(): SagaCodec & { broken: boolean } {
  const reversed = (text: string) => [...text].reverse().join('')
  return {
    broken: false,
    encode: (text) => `~${reversed(text)}`,
    decode(text) {
      if (this.broken || !text.startsWith('~')) throw new Error('the key is gone')
      return reversed(text.slice(1))
    },
  }
}

describe('a codec', () => {
  const secret = (b: Bench, codec: SagaCodec, room: () => unknown = () => ({ guest: 'Ada L.' })) =>
    saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId, codec })
      .step('hotel', { do: room, undo: (c) => void b.calls.push(`back ${JSON.stringify(c.hotel)}`) })
      .approve('boss', { withinMs: 3_600_000, otherwise: 'undo' })
      .step('mail', {
        do: (c) => void b.calls.push(`mail ${c.input.name}, ${JSON.stringify(c.hotel)}, ${c.boss.value}`),
        undo: nothing('x'),
      })
      .done((c) => ({ name: c.input.name }))

  async function begun(room?: () => unknown) {
    const b = bench()
    const codec = reversing()
    const definition = secret(b, codec, room)
    const worker = await b.run([definition])
    const { id } = await startSaga(b.database, definition, { tripId: 't1', name: 'Grace H.' })
    await b.world.advance(0)
    return { ...b, b, codec, definition, worker, id, readers: sagas(b.database, { definitions: [definition] }) }
  }

  const everything = ({ database }: Bench) =>
    database.read(async (tx) => {
      const tables = ['banyan_sagas', 'banyan_saga_signals', 'banyan_saga_audit', 'banyan_saga_history', 'banyan_saga_archive']
      const rows = [
        await tx.sql`select * from banyan_sagas`,
        await tx.sql`select * from banyan_saga_signals`,
        await tx.sql`select * from banyan_saga_audit`,
        await tx.sql`select * from banyan_saga_history`,
        await tx.sql`select * from banyan_saga_archive`,
      ]
      return JSON.stringify(Object.fromEntries(tables.map((table, index) => [table, rows[index]])))
    })

  it('keeps input, results, signals and output from who reads the tables', async () => {
    const { b, id, readers, world, calls } = await begun()
    await readers.approve(id, { ...ada, value: 'Edsger D.' })
    await world.advance(0)
    expect(calls).toEqual(['mail Grace H., {"guest":"Ada L."}, Edsger D.'])
    const stored = await everything(b)
    for (const name of ['Grace H.', 'Ada L.', 'Edsger D.']) expect(stored).not.toContain(name)
    expect(await readers.show(id)).toMatchObject({ readable: true, output: { name: 'Grace H.' }, input: { name: 'Grace H.' } })
    expect(await b.admin.show(id)).toMatchObject({ readable: false, output: undefined, input: undefined, status: 'completed' })
  })

  it('is needed for changing what it has written', async () => {
    const { b, id } = await begun()
    await expect(b.admin.approve(id, { ...ada, value: 'x' })).rejects.toMatchObject({ code: 'ERR_SAGA_ENCODED' })
    await b.admin.approve(id, ada)
    await b.world.advance(0)
    expect(b.calls).toEqual(['mail Grace H., {"guest":"Ada L."}, undefined'])
  })

  it('that cannot read stops the saga by name, and a person lets it go on', async () => {
    const { b, codec, id, readers, world } = await begun()
    codec.broken = true
    await readers.approve(id, ada)
    await world.advance(0)
    expect(await b.admin.show(id)).toMatchObject({ status: 'stuck', failure: { code: 'ERR_SAGA_UNREADABLE' } })
    codec.broken = false
    await b.admin.retry(id, ada)
    await world.advance(0)
    expect((await b.admin.show(id)).status).toBe('completed')
  })

  it('that cannot read lets people see what the saga is, but for what it cannot read', async () => {
    const { codec, id, readers, world } = await begun()
    codec.broken = true
    await readers.approve(id, ada)
    await world.advance(0)
    expect(await readers.show(id)).toMatchObject({
      ...{ readable: false, status: 'stuck', failure: { code: 'ERR_SAGA_UNREADABLE' }, input: undefined, results: {} },
      decisions: [{ action: 'approve' }],
    })
  })

  it.each([
    ['nothing', () => undefined, 'undefined'],
    ['a promise', () => Promise.reject(new Error('no key')), 'an instance of Promise'],
  ])('that gives %s for a text stops the saga, and starts none', async (_what, answer, said) => {
    const { b, codec, definition, id, world } = await begun()
    // As a codec does that was written without types.
    Object.assign(codec, { encode: answer, decode: answer })
    await b.admin.approve(id, ada)
    await world.advance(0)
    const { status, failure } = await b.admin.show(id)
    expect([status, failure?.code]).toEqual(['stuck', 'ERR_SAGA_UNREADABLE'])
    expect(failure?.message).toContain(`"decode" of its codec gave ${said}, wanted a text`)
    const starting = startSaga(b.database, definition, { tripId: 't2', name: 'x' })
    await expect(starting).rejects.toThrow(`"encode" of its codec gave ${said}, wanted a text`)
  })

  it('that cannot read a signal stops the saga, which finds it afterwards', async () => {
    const { b, id, readers, world, codec } = await begun()
    await readers.approve(id, { ...ada, value: 'yes' })
    // As if it came from somebody with another key.
    await b.database.transaction((tx) => tx.sql`update banyan_saga_signals set body = '{"sealed":"?"}'`)
    await world.advance(0)
    expect(await b.admin.show(id)).toMatchObject({ status: 'stuck', failure: { code: 'ERR_SAGA_UNREADABLE' } })
    const sealed = JSON.stringify({ sealed: codec.encode('{"yes":true,"by":"ada","reason":"x","value":1}') })
    await b.database.transaction((tx) => tx.sql`update banyan_saga_signals set body = ${sealed}`)
    await b.admin.retry(id, ada)
    await world.advance(0)
    expect((await b.admin.show(id)).status).toBe('completed')
  })
})

describe('finished sagas', () => {
  it('go to the archive, are found there, and their keys start nothing', async () => {
    const b = bench()
    const definition = saga<Trip>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('hotel', { do: () => 7, undo: nothing('x') })
      .done((c) => c.hotel)
    await b.run([definition], { keepFinishedMs: 60_000 })
    const first = await startSaga(b.database, definition, { tripId: 't1' })
    await b.world.advance(0)
    const before = await b.admin.show(first.id)
    await b.world.advance(80_000)
    const hot = await b.database.read((tx) => tx.sql`select id from banyan_sagas`)
    expect(hot).toEqual([])
    expect(await b.admin.show(first.id)).toEqual(before)
    expect(await b.admin.list({ status: 'completed' })).toHaveLength(1)
    expect(await startSaga(b.database, definition, { tripId: 't1' })).toEqual({ ...first, started: false })
    expect(await b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' }))).toEqual({ ...first, started: false })
  })
})

describe('concurrency', () => {
  it('is bounded by type, and one at its limit does not hold up others', async () => {
    const b = bench()
    const most = new Map<string, number>()
    const now = new Map<string, number>()
    const open: (() => void)[] = []
    const slow = (name: string, concurrency?: number) =>
      saga<Trip>(name, { version: 1, key: ({ tripId }) => tripId, ...(concurrency && { concurrency }) })
        .step('a', {
          do: async () => {
            now.set(name, (now.get(name) ?? 0) + 1)
            most.set(name, Math.max(most.get(name) ?? 0, now.get(name) ?? 0))
            await new Promise<void>((resolve) => open.push(resolve))
            now.set(name, (now.get(name) ?? 0) - 1)
          },
          undo: nothing('x'),
        })
        .done()
    const [narrow, wide] = [slow('narrow', 2), slow('wide')]
    await b.run([narrow, wide], { concurrency: 6 })
    for (let n = 0; n < 8; n += 1) await startSaga(b.database, narrow, { tripId: `${n}` })
    for (let n = 0; n < 8; n += 1) await startSaga(b.database, wide, { tripId: `${n}` })
    for (let round = 0; round < 12; round += 1) {
      await b.world.advance(0)
      for (const one of open.splice(0)) one()
    }
    await b.world.advance(0)
    expect(Object.fromEntries(most)).toEqual({ narrow: 2, wide: 4 })
    expect(await b.admin.list({ status: 'completed' })).toHaveLength(16)
  })

  it.each([
    ['fewer', 3, 1],
    ['more', 1, 3],
  ])('is that of the newest version for all, whichever began first: %s than before', async (_what, old, most) => {
    const b = bench()
    const open: (() => void)[] = []
    const version = (version: number, concurrency: number) =>
      saga<Trip>('trip', { version, key: ({ tripId }) => tripId, concurrency })
        .step('a', {
          do: async (c) => {
            b.calls.push(c.input.tripId)
            await new Promise<void>((resolve) => open.push(resolve))
          },
          undo: nothing('x'),
        })
        .done()
    const [before, now] = [version(1, old), version(2, most)]
    await b.run([now, before])
    for (const tripId of ['1', '2', '3', '4']) await startSaga(b.database, before, { tripId })
    for (const tripId of ['5', '6']) await startSaga(b.database, now, { tripId })
    for (let ended = 0; ended < 6; ended += most) {
      await b.world.advance(0)
      expect(b.calls).toHaveLength(ended + most)
      for (const one of open.splice(0)) one()
    }
    await b.world.advance(0)
    expect(await b.admin.list({ status: 'completed' })).toHaveLength(6)
  })
})
