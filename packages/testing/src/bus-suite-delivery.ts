import type { BusFeatures, Delivery } from '@banyan/core'
import { expect, it, vi } from 'vitest'
import { type BusTest, collect, upTo } from './bus-fixture.ts'
import { startChild } from './child.ts'
import { numbered } from './numbered.ts'

/** What arrives, and when it comes again. */
export function deliveryTests(test: BusTest, features: BusFeatures): void {
  const { open, site } = test

  it('delivers each event as it was published, with where it stands', async () => {
    const bus = open()
    const deliveries: Delivery[] = []
    const onBatch = async (batch: readonly Delivery[]) => void deliveries.push(...batch)
    const collector = await collect(bus, 'g', { onBatch })
    const sent = [numbered('a', 0), { ...numbered('b', 0), data: { text: 'ünï', list: [1, null] }, correlationid: 'c-1' }]
    await bus.publish(sent)
    await collector.until(2)
    expect(collector.envelopes).toEqual(expect.arrayContaining(sent))
    expect(new Set(deliveries.map(({ position }) => position)).size).toBe(2)
    expect(deliveries.map(({ raw }) => JSON.parse(raw))).toEqual(collector.envelopes)
  })

  it('delivers only the types that were asked for', async () => {
    const bus = open()
    const collector = await collect(bus, 'g', { types: ['suite.one', 'suite.two'] })
    await bus.publish([
      numbered('a', 0, 'suite.one'),
      numbered('a', 1, 'suite.other'),
      numbered('a', 2, 'suite.two'),
      numbered('a', 3, 'suite.one'),
    ])
    await collector.until(3)
    expect(collector.of('a')).toEqual([0, 2, 3])
  })

  it('delivers what cannot be read too, without an envelope, and goes on', async () => {
    const bus = open()
    const seen: Delivery[] = []
    const collector = await collect(bus, 'g', { onBatch: async (batch) => void seen.push(...batch) })
    await site().putRaw('suite.tick', '{"not": "an envelope"}')
    await bus.publish([numbered('a', 0)])
    await collector.until(1)
    await vi.waitFor(() =>
      expect(seen.filter(({ envelope }) => envelope === undefined).map(({ raw }) => raw)).toEqual(['{"not": "an envelope"}']),
    )
  })

  it('takes an empty batch, and nothing once it is closed', async () => {
    const bus = open()
    await bus.publish([])
    await bus.close()
    await expect(bus.publish([numbered('a', 0)])).rejects.toThrow()
    await expect(bus.subscribe({ group: 'g', types: ['suite.tick'], handle: async () => {} })).rejects.toThrow()
  })

  const { module } = test.fixture
  if (module !== undefined) otherProcessTests(test, module, features)
  if (features.redelivery) redeliveryTests(test)
}

function otherProcessTests({ open, site }: BusTest, module: string, features: BusFeatures): void {
  it('hears of what another process publishes', async () => {
    const bus = open()
    const collector = await collect(bus, 'g')
    const child = startChild('bus-child', [module, site().place, 'publish'])
    await collector.until(200)
    await child.ended()
    expect(collector.envelopes).toHaveLength(200)
  })

  if (!features.replay) return
  it('keeps what it has taken from a publisher that is killed', async () => {
    const child = startChild('bus-child', [module, site().place, 'publishOnAndOn'])
    await vi.waitFor(() => expect(child.messages.length).toBeGreaterThan(20), { timeout: 15_000, interval: 1 })
    await child.kill()
    const taken = child.messages.filter((id) => id !== 'ready')
    const collector = await collect(open(), 'g')
    await vi.waitFor(() => expect(collector.envelopes.map(({ id }) => id)).toEqual(expect.arrayContaining(taken)), { timeout: 10_000 })
    // Nobody knows of the last ones, but there is no hole before them.
    expect(collector.of('a')).toEqual(upTo(collector.of('a').length))
  })
}

function redeliveryTests({ open }: BusTest): void {
  it('brings a batch again when its handler failed, and loses nothing', async () => {
    const bus = open()
    let failures = 0
    const collector = await collect(bus, 'g', {
      async onBatch() {
        failures += 1
        if (failures <= 2) throw new Error(`failure ${failures}`)
      },
    })
    await bus.publish(upTo(10).map((n) => numbered('a', n)))
    await collector.until(10)
    expect(collector.of('a')).toEqual(upTo(10))
    expect(failures).toBeGreaterThanOrEqual(3)
  })

  it('never hands out two batches of a subscription at once', async () => {
    const bus = open()
    let inside = 0
    let most = 0
    const begun = Promise.withResolvers<void>()
    const collector = await collect(bus, 'g', {
      async onBatch() {
        inside += 1
        most = Math.max(most, inside)
        begun.resolve()
        await new Promise((resolve) => setTimeout(resolve, 5))
        inside -= 1
      },
    })
    await bus.publish([numbered('k1', 1)])
    await begun.promise
    // While that one is being handled.
    for (const n of upTo(20).slice(1)) await bus.publish([numbered(`k${n % 7}`, n)])
    await collector.until(20)
    expect(most).toBe(1)
    expect(collector.batches).toBeGreaterThan(1)
  })
}

/** Same key, same order. */
export function orderTests(test: BusTest): void {
  const { open } = test

  it('keeps the order of each key, also between publishers that write at the same time', async () => {
    const bus = open()
    const collector = await collect(bus, 'g')
    const keys = upTo(10).map((key) => `k${key}`)
    await Promise.all(
      keys.map(async (subject) => {
        for (const n of upTo(10)) await bus.publish([numbered(subject, 2 * n), numbered(subject, 2 * n + 1)])
      }),
    )
    await collector.until(200)
    for (const subject of keys) expect(collector.of(subject)).toEqual(upTo(20))
  })

  it('keeps the order of each key through failures', async () => {
    const bus = open()
    let batches = 0
    const collector = await collect(bus, 'g', {
      async onBatch() {
        batches += 1
        if (batches % 2 === 1) throw new Error('every other batch fails')
      },
    })
    for (const n of upTo(10)) await bus.publish([numbered('a', n), numbered('b', n)])
    await collector.until(20)
    expect(collector.of('a')).toEqual(upTo(10))
    expect(collector.of('b')).toEqual(upTo(10))
  })
}
