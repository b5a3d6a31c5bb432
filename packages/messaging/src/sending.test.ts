import { type Envelope, encodeEnvelope } from '@banyan/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { busAnswers } from './bus-answers.ts'
import type { OneByOneOptions } from './one-by-one.ts'
import { type Outgoing, outgoingOf } from './outgoing.ts'
import { send } from './sending.ts'
import { taken } from './test/events.ts'
import { type MemoryBus, memoryBus } from './test/memory-bus.ts'

const entry = (position: number, key: string) => outgoingOf({ position, body: encodeEnvelope(taken(key, position)) })
const idsOf = (list: readonly Envelope[]) => list.map(({ id }) => id)
/** Without what came again. */
const once = (ids: readonly string[]) => [...new Set(ids)]

function sendTo(bus: MemoryBus, entries: readonly Outgoing[], more: Partial<OneByOneOptions> = {}) {
  const { signal } = new AbortController()
  return send(entries, { bus, answers: busAnswers(), parked: new Set(), failures: 0, limit: entries.length, signal, ...more })
}

/** A bus that does not take what is about `bad` keys. */
function pickyBus(bad: string[], code?: string) {
  const bus = memoryBus()
  bus.onPublish = (batch) => {
    if (batch.some(({ subject }) => bad.includes(subject))) throw Object.assign(new Error('no'), code ? { code } : {})
  }
  return bus
}

describe('send', () => {
  it('hands the whole batch over at once', async () => {
    const bus = memoryBus()
    const sent = await sendTo(bus, [entry(1, 'a'), entry(2, 'b')])
    expect(sent).toMatchObject({ upTo: 2, accepted: 2, failed: [], waiting: [], error: undefined })
  })

  it('leaves out what belongs to parked keys', async () => {
    const bus = memoryBus()
    const sent = await sendTo(bus, [entry(1, 'a'), entry(2, 'b'), entry(3, 'a')], { parked: new Set(['a']) })
    expect(idsOf(bus.published)).toEqual(['b-2'])
    expect(sent.waiting.map(({ position }) => position)).toEqual([1, 3])
    expect(sent.upTo).toBe(3)
  })

  it('settles nothing while the bus is away, however often it failed', async () => {
    const bus = pickyBus(['a', 'b', 'c'])
    for (const failures of [0, 1, 5, 20]) {
      const sent = await sendTo(bus, [entry(1, 'a'), entry(2, 'b'), entry(3, 'c')], { failures })
      expect(sent).toMatchObject({ upTo: undefined, accepted: 0, failed: [], waiting: [] })
      expect(sent.error).toBeInstanceOf(Error)
    }
  })

  it('finds the one bad message once the batch has failed often enough, and lets other keys flow', async () => {
    const bus = pickyBus(['a'])
    const sent = await sendTo(bus, [entry(1, 'a'), entry(2, 'b'), entry(3, 'a'), entry(4, 'c')], { failures: 3 })
    expect(once(idsOf(bus.published))).toEqual(['b-2', 'c-4'])
    expect(sent).toMatchObject({ upTo: 4, accepted: 2, error: undefined })
    expect(sent.failed.map(({ entry, error }) => [entry.position, error.reason])).toEqual([[1, 'failed']])
    expect(sent.waiting.map(({ position }) => position)).toEqual([3])
  })

  it('blames nothing that failed last: the bus may have gone away meanwhile', async () => {
    const bus = pickyBus(['c'])
    const sent = await sendTo(bus, [entry(1, 'a'), entry(2, 'c'), entry(3, 'c')], { failures: 3 })
    expect(sent).toMatchObject({ upTo: 1, accepted: 1, failed: [], waiting: [] })
    expect(sent.error).toBeInstanceOf(Error)
  })

  it('takes the word of a bus that refuses a message for good, at the first time and alone', async () => {
    const bus = pickyBus(['a'], 'ERR_BUS_REFUSED')
    const sent = await sendTo(bus, [entry(1, 'a')])
    expect(sent).toMatchObject({ upTo: 1, accepted: 0, error: undefined })
    expect(sent.failed[0]?.error).toMatchObject({ reason: 'refused', code: 'ERR_BUS_REFUSED' })
  })

  it('sets aside a row that is no envelope', async () => {
    const bus = memoryBus()
    const sent = await sendTo(bus, [outgoingOf({ position: 1, body: 'rubbish' }), entry(2, 'b')])
    expect(sent.failed[0]?.error).toMatchObject({ reason: 'undecodable' })
    expect(idsOf(bus.published)).toEqual(['b-2'])
  })

  it('lets nothing wait behind a row that nobody can read', async () => {
    const rows = ['rubbish', 'more of it'].map((body, n) => outgoingOf({ position: n + 1, body }))
    expect((await sendTo(memoryBus(), rows)).failed.map(({ entry }) => entry.position)).toEqual([1, 2])
  })

  it('looks behind many bad messages when it has failed more often', async () => {
    const bad = Array.from({ length: 20 }, (_, n) => `bad${n}`)
    const bus = pickyBus(bad)
    const entries = [...bad.map((key, n) => entry(n + 1, key)), entry(21, 'good')]
    expect(await sendTo(bus, entries, { failures: 3 })).toMatchObject({ upTo: undefined })
    expect(await sendTo(bus, entries, { failures: 5 })).toMatchObject({ upTo: 21, accepted: 1 })
  })

  it('tries all that failed again, in order, when the bus comes back meanwhile, and blames none', async () => {
    const bus = memoryBus()
    let calls = 0
    bus.onPublish = () => {
      calls += 1
      if (calls <= 3) throw new Error('timed out')
    }
    const entries = ['a', 'b', 'a', 'c', 'd'].map((key, index) => entry(index + 1, key))
    const sent = await sendTo(bus, entries, { failures: 3 })
    expect(sent).toMatchObject({ upTo: 5, accepted: 5, failed: [], waiting: [], error: undefined })
    expect(idsOf(bus.published)).toEqual(['d-5', 'a-1', 'b-2', 'a-3', 'c-4'])
  })

  it('blames nothing for a second failure when the one right before it failed too', async () => {
    const bus = memoryBus()
    let calls = 0
    bus.onPublish = () => {
      calls += 1
      // Away for a and b; back for c and the first a; away once more for the second a, and b.
      if ([1, 2, 5, 6].includes(calls)) throw new Error('timed out')
    }
    const entries = ['a', 'a', 'b', 'c', 'd'].map((key, index) => entry(index + 1, key))
    expect(await sendTo(bus, entries, { failures: 3 })).toMatchObject({ upTo: 5, accepted: 5, failed: [], error: undefined })
    expect(idsOf(bus.published)).toEqual(['c-4', 'a-1', 'd-5', 'a-2', 'b-3'])
  })

  it('stops when it is told to: what is settled is settled, the rest is left', async () => {
    const bus = memoryBus()
    const stopping = new AbortController()
    bus.onPublish = ([first]) => {
      if (first?.subject === 'b') stopping.abort()
    }
    const sent = await sendTo(bus, [entry(1, 'a'), entry(2, 'b'), entry(3, 'c')], { failures: 3, signal: stopping.signal })
    expect(sent).toMatchObject({ upTo: 2, accepted: 2, error: undefined })
    expect(idsOf(bus.published)).toEqual(['a-1', 'b-2'])
  })

  it('property: while the bus goes and comes it blames bad events alone, keeps the order of each key, and settles all in the end', async () => {
    const keys = ['a', 'b', 'c', 'd', 'e', 'bad1', 'bad2']
    const script = fc.record({
      keys: fc.array(fc.constantFrom(...keys), { minLength: 1, maxLength: 25 }),
      // How many calls it is there, and how many it is away: two or more, as one that is away for one call alone looks like a bad event.
      spells: fc.array(fc.record({ there: fc.integer({ min: 0, max: 6 }), away: fc.integer({ min: 2, max: 6 }) }), { maxLength: 8 }),
      limit: fc.integer({ min: 1, max: 30 }),
    })
    await fc.assert(
      fc.asyncProperty(script, async ({ keys, spells, limit }) => {
        const answers = spells.flatMap(({ there, away }) => [...Array(there).fill(true), ...Array(away).fill(false)])
        const bus = memoryBus()
        bus.onPublish = ([first]) => {
          if (answers.shift() === false || first?.subject.startsWith('bad')) throw new Error('timed out')
        }
        // The last one lets it find out about those before it.
        let left = [...keys, 'z'].map((key, index) => entry(index + 1, key))
        const aside: Outgoing[] = []
        const parked = new Set<string>()
        for (let failures = 5, steps = 0; left.length > 0; steps += 1) {
          // Each spell costs steps; then each of the two bad keys does.
          expect(steps).toBeLessThan(100)
          const sent = await sendTo(bus, left, { failures, limit, parked })
          const settled = left.filter(({ position }) => position <= (sent.upTo ?? 0))
          expect(sent.accepted + sent.failed.length + sent.waiting.length).toBe(settled.length)
          aside.push(...sent.failed.map(({ entry }) => entry), ...sent.waiting)
          for (const { entry } of sent.failed) parked.add(entry.key)
          left = left.slice(settled.length)
          failures = sent.error ? failures + 1 : 5
        }
        expect(aside.filter(({ key }) => !key.startsWith('bad'))).toEqual([])
        expect(new Set(aside.map(({ key }) => key))).toEqual(new Set(keys.filter((key) => key.startsWith('bad'))))
        for (const key of [...keys, 'z'].filter((key) => !key.startsWith('bad'))) {
          const wanted = [...keys, 'z'].flatMap((one, index) => (one === key ? [`${key}-${index + 1}`] : []))
          expect(once(idsOf(bus.published)).filter((id) => id.startsWith(`${key}-`))).toEqual(wanted)
        }
      }),
    )
  })
})
