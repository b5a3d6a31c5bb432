import { refuse } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import type { SagaCodec } from './definition.ts'
import { sagas } from './recover.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { type Bench, bench, line } from './test/bench.ts'

interface Trip {
  tripId: string
}

const v1 = { version: 1, key: ({ tripId }: Trip) => tripId }
const t1 = { tripId: 't1' }
const ada = { by: 'ada', reason: 'the key is there again' }
const hang = () => new Promise<never>(() => {})

interface Keys {
  lost: boolean
}

function codecOf(keys: Keys): SagaCodec {
  return {
    encode: (text) => `#${text}`,
    decode(text) {
      if (keys.lost) throw new Error('no key')
      return text.slice(1)
    },
  }
}

/** A hotel, then a flight that answers as said: a step, or the pivot. */
function travel(b: Bench, flight: 'step' | 'pivot', answer: () => unknown, codec?: SagaCodec) {
  const call = () => {
    b.calls.push('flight')
    return answer()
  }
  const begun = saga<Trip>('trip', { ...v1, ...(codec && { codec }) }).step('hotel', {
    do: () => void b.calls.push('hotel'),
    undo: () => void b.calls.push('hotel back'),
  })
  if (flight === 'pivot') return begun.pivot('flight', { do: call }).done()
  return begun.step('flight', { do: call, undo: () => void b.calls.push('flight back') }).done()
}

/** A saga whose process died in the middle of the flight, and that the next one could not read. */
async function unreadable(flight: 'step' | 'pivot', { cancelled = false } = {}) {
  const b = bench()
  const keys: Keys = { lost: false }
  const dead = line()
  const before = travel(b, flight, hang, codecOf(keys))
  await b.run([before], { line: dead })
  const { id } = await startSaga(b.database, before, t1)
  await b.world.advance(0)
  if (cancelled) await b.admin.cancel(id, ada)
  dead.cut()
  keys.lost = true
  const now = travel(b, flight, () => refuse('full'), codecOf(keys))
  await b.run([now])
  await b.world.advance(0)
  expect((await b.admin.show(id)).failure?.code).toBe('ERR_SAGA_UNREADABLE')
  keys.lost = false
  return { b, id, admin: sagas(b.database, { definitions: [now] }) }
}

describe('a saga that was cut off in the middle of an attempt, and could not go on when it was taken up', () => {
  it('undoes what may have been done when the next attempt is refused', async () => {
    const { b, id, admin } = await unreadable('step')
    await admin.retry(id, ada)
    await b.world.advance(100)
    expect(b.calls).toEqual(['hotel', 'flight', 'flight', 'flight back', 'hotel back'])
  })

  it('undoes it when somebody has it undone', async () => {
    const { b, id, admin } = await unreadable('step')
    await admin.undo(id, ada)
    await b.world.advance(100)
    expect(b.calls).toEqual(['hotel', 'flight', 'flight back', 'hotel back'])
  })

  it('asks a person when its pivot is refused', async () => {
    const { b, id, admin } = await unreadable('pivot')
    await admin.retry(id, ada)
    await b.world.advance(100)
    expect((await admin.show(id)).failure?.code).toBe('ERR_PIVOT_IN_DOUBT')
  })

  it('undoes it when it had been cancelled before', async () => {
    const { b, id, admin } = await unreadable('step', { cancelled: true })
    await admin.retry(id, ada)
    await b.world.advance(100)
    expect(b.calls).toEqual(['hotel', 'flight', 'flight back', 'hotel back'])
  })

  it('undoes it also where a step was missing meanwhile', async () => {
    const b = bench()
    const dead = line()
    const before = travel(b, 'step', hang)
    await b.run([before], { line: dead })
    const { id } = await startSaga(b.database, before, t1)
    await b.world.advance(0)
    dead.cut()
    const lacking = await b.run([
      saga<Trip>('trip', v1)
        .step('flight', { do: () => 1, undo: () => {} })
        .done(),
    ])
    await b.world.advance(0)
    expect((await b.admin.show(id)).failure?.code).toBe('ERR_STEP_UNKNOWN')
    const stopped = lacking.stop()
    await b.world.advance(100)
    await stopped
    await b.run([travel(b, 'step', () => refuse('full'))])
    await b.world.advance(0)
    await b.admin.retry(id, ada)
    await b.world.advance(100)
    expect(b.calls).toEqual(['hotel', 'flight', 'flight', 'flight back', 'hotel back'])
  })
})

describe('what keeps a worker from storing what came of an attempt', () => {
  it('leaves the attempt in doubt: a refusal of the next one proves nothing', async () => {
    const b = bench()
    const keyStore = { away: false }
    const codec: SagaCodec = {
      encode(text) {
        if (keyStore.away) throw new Error('the key store is away')
        return text
      },
      decode: (text) => text,
    }
    const hotel = () => {
      keyStore.away = b.calls.push('hotel') === 1
      return keyStore.away ? { id: 1 } : refuse('full')
    }
    const trip = saga<Trip>('trip', { ...v1, codec })
      .step('hotel', { do: hotel, undo: () => void b.calls.push('hotel back') })
      .done()
    await b.run([trip])
    await startSaga(b.database, trip, t1)
    await b.world.advance(1_000)
    expect(b.logged).toMatchObject([{ message: 'a saga could not be driven; trying again in 5 s' }])
    await b.world.advance(9_000)
    expect((await b.only()).status).toBe('compensated')
    expect(b.calls).toEqual(['hotel', 'hotel', 'hotel back'])
  })

  it('begins no other lane again, and undoes none that is on its way', async () => {
    const b = bench()
    const flight = Promise.withResolvers<void>()
    const codec: SagaCodec = {
      encode(text) {
        if (text.includes('a room')) throw new Error('the key store is away')
        return text
      },
      decode: (text) => text,
    }
    const rooms = ['a room', 'none']
    const trip = saga<Trip>('trip', { ...v1, codec })
      .all({
        hotel: { do: () => (rooms.length === 2 ? rooms.shift() : refuse('full')), undo: nothing('it holds for a minute') },
        flight: {
          do: () => {
            b.calls.push('flight')
            return flight.promise
          },
          undo: () => void b.calls.push('flight back'),
        },
      })
      .done()
    await b.run([trip])
    await startSaga(b.database, trip, t1)
    await b.world.advance(20_000)
    expect(b.calls).toEqual(['flight'])
    flight.resolve()
    await b.world.advance(20_000)
    expect((await b.only()).status).toBe('compensated')
    expect(b.calls).toEqual(['flight', 'flight', 'flight back'])
  })
})
