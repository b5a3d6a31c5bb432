import { type Envelope, encodeEnvelope } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import type { OutboxEntry } from './ports.ts'
import { send } from './sending.ts'
import { taken } from './test/events.ts'
import { memoryBus } from './test/memory-bus.ts'

const entry = (position: number, key: string): OutboxEntry => ({ position, key, body: encodeEnvelope(taken(key, position)) })
const idsOf = (list: readonly Envelope[]) => list.map(({ id }) => id)
const none: ReadonlySet<string> = new Set()

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
    const sent = await send([entry(1, 'a'), entry(2, 'b')], { bus, parked: none, failures: 0 })
    expect(sent).toMatchObject({ upTo: 2, accepted: 2, failed: [], waiting: [], error: undefined })
  })

  it('leaves out what belongs to parked keys', async () => {
    const bus = memoryBus()
    const sent = await send([entry(1, 'a'), entry(2, 'b'), entry(3, 'a')], { bus, parked: new Set(['a']), failures: 0 })
    expect(idsOf(bus.published)).toEqual(['b-2'])
    expect(sent.waiting.map(({ position }) => position)).toEqual([1, 3])
    expect(sent.upTo).toBe(3)
  })

  it('settles nothing while the bus is away, however often it failed', async () => {
    const bus = pickyBus(['a', 'b', 'c'])
    for (const failures of [0, 1, 5, 20]) {
      const sent = await send([entry(1, 'a'), entry(2, 'b'), entry(3, 'c')], { bus, parked: none, failures })
      expect(sent).toMatchObject({ upTo: undefined, accepted: 0, failed: [], waiting: [] })
      expect(sent.error).toBeInstanceOf(Error)
    }
  })

  it('finds the one bad message once the batch has failed often enough, and lets other keys flow', async () => {
    const bus = pickyBus(['a'])
    const sent = await send([entry(1, 'a'), entry(2, 'b'), entry(3, 'a'), entry(4, 'c')], { bus, parked: none, failures: 3 })
    expect(idsOf(bus.published)).toEqual(['b-2', 'c-4'])
    expect(sent).toMatchObject({ upTo: 4, accepted: 2, error: undefined })
    expect(sent.failed.map(({ entry, error }) => [entry.position, error.reason])).toEqual([[1, 'failed']])
    expect(sent.waiting.map(({ position }) => position)).toEqual([3])
  })

  it('blames nothing that failed last: the bus may have gone away meanwhile', async () => {
    const bus = pickyBus(['c'])
    const sent = await send([entry(1, 'a'), entry(2, 'c'), entry(3, 'c')], { bus, parked: none, failures: 3 })
    expect(sent).toMatchObject({ upTo: 1, accepted: 1, failed: [], waiting: [] })
    expect(sent.error).toBeInstanceOf(Error)
  })

  it('takes the word of a bus that refuses a message for good, at the first time and alone', async () => {
    const bus = pickyBus(['a'], 'ERR_BUS_REFUSED')
    const sent = await send([entry(1, 'a')], { bus, parked: none, failures: 0 })
    expect(sent).toMatchObject({ upTo: 1, accepted: 0, error: undefined })
    expect(sent.failed[0]?.error).toMatchObject({ reason: 'refused', code: 'ERR_BUS_REFUSED' })
  })

  it('sets aside a row that is no envelope', async () => {
    const bus = memoryBus()
    const sent = await send([{ position: 1, key: 'a', body: 'rubbish' }, entry(2, 'b')], { bus, parked: none, failures: 0 })
    expect(sent.failed[0]?.error).toMatchObject({ reason: 'undecodable' })
    expect(idsOf(bus.published)).toEqual(['b-2'])
  })

  it('looks behind many bad messages when it has failed more often', async () => {
    const bad = Array.from({ length: 20 }, (_, n) => `bad${n}`)
    const bus = pickyBus(bad)
    const entries = [...bad.map((key, n) => entry(n + 1, key)), entry(21, 'good')]
    expect(await send(entries, { bus, parked: none, failures: 3 })).toMatchObject({ upTo: undefined })
    expect(await send(entries, { bus, parked: none, failures: 5 })).toMatchObject({ upTo: 21, accepted: 1 })
  })
})
