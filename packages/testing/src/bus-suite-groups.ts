import type { Bus, BusFeatures, Delivery } from '@banyan/core'
import { expect, it, vi } from 'vitest'
import { type BusTest, collect, upTo } from './bus-fixture.ts'
import { startChild } from './child.ts'
import { numbered } from './numbered.ts'

/** Each group gets everything, from where it stopped. */
export function groupTests({ open }: BusTest, features: BusFeatures): void {
  it('gives every event to each group', async () => {
    const bus = open()
    const collectors = await Promise.all(['one', 'two', 'three'].map((group) => collect(bus, group)))
    await bus.publish(upTo(20).map((n) => numbered('a', n)))
    for (const collector of collectors) {
      await collector.until(20)
      expect(collector.of('a')).toEqual(upTo(20))
    }
  })

  it('goes on where the group stopped, without repeating what a clean stop left behind', async () => {
    const bus = open()
    const first = await collect(bus, 'g')
    await bus.publish(upTo(5).map((n) => numbered('a', n)))
    await first.until(5)
    await first.subscription.stop()
    await bus.publish([5, 6].map((n) => numbered('a', n)))
    await bus.close()
    const again = open()
    await again.publish([numbered('a', 7)])
    const second = await collect(again, 'g')
    await second.until(3)
    expect(second.of('a')).toEqual([5, 6, 7])
    expect(first.of('a')).toEqual(upTo(5))
  })

  it('waits for the batch in flight when a subscription stops', async () => {
    const bus = open()
    let finished = false
    let begin: (() => void) | undefined
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    const collector = await collect(bus, 'g', {
      async onBatch() {
        begin?.()
        await new Promise((resolve) => setTimeout(resolve, 50))
        finished = true
      },
    })
    await bus.publish([numbered('a', 0)])
    await begun
    await Promise.all([collector.subscription.stop(), collector.subscription.stop()])
    expect(finished).toBe(true)
  })

  if (!features.replay) return
  it('starts a new group at the oldest event', async () => {
    const bus = open()
    await bus.publish(upTo(300).map((n) => numbered('a', n)))
    const late = await collect(bus, 'late')
    await late.until(300)
    expect(late.of('a')).toEqual(upTo(300))
  })
}

/** A group's work is shared: one key, one member. */
export function memberTests(test: BusTest): void {
  it('shares the keys between members; no key is with two at once and no event is lost or repeated', async () => {
    const { overlaps, enter, leave } = keyGuard()
    const members = await Promise.all([member(test.open()), member(test.open())])
    async function member(bus: Bus) {
      return collect(bus, 'shared', {
        async onBatch(batch) {
          enter(batch)
          await new Promise((resolve) => setTimeout(resolve, 2))
          leave(batch)
        },
      })
    }
    const publisher = test.open()
    const publishRound = (n: number) => publisher.publish(upTo(32).map((key) => numbered(`k${key}`, n)))
    let rounds = 0
    // Until both have work: a member that comes later gets its share from the other one.
    await vi.waitFor(
      async () => {
        await publishRound(rounds++)
        expect(members.every(({ envelopes }) => envelopes.length > 0)).toBe(true)
      },
      { timeout: 15_000, interval: 50 },
    )
    for (let more = 0; more < 10; more += 1) await publishRound(rounds++)
    const all = () => members.flatMap(({ envelopes }) => envelopes.map(({ id }) => id))
    await vi.waitFor(() => expect(new Set(all()).size).toBe(32 * rounds), { timeout: 10_000 })
    expect(overlaps).toEqual([])
    expect(all()).toHaveLength(32 * rounds)
  })

  const { module } = test.fixture
  if (module !== undefined) takeoverTests(test, module)
}

function takeoverTests(test: BusTest, module: string): void {
  const startMember = () => startChild('bus-child', [module, test.site().place, 'consume'])

  it('gives the keys of a member that was killed to the others of its group', async () => {
    const bus = test.open()
    const survivor = await collect(bus, 'shared')
    const child = startMember()
    await child.heard('ready')
    let n = 0
    const publishRound = () => bus.publish(upTo(16).map((key) => numbered(`k${key}`, n)))
    // Until the other process has its share.
    await vi.waitFor(
      async () => {
        await publishRound()
        n += 1
        expect(child.messages.length).toBeGreaterThan(10)
      },
      { timeout: 15_000, interval: 20 },
    )
    await child.kill()
    await publishRound()
    const missing = () => {
      const seen = new Set([...child.messages, ...survivor.envelopes.map(({ id }) => id)])
      return upTo(n + 1)
        .flatMap((round) => upTo(16).map((key) => `suite.tick/k${key}/${round}`))
        .filter((id) => !seen.has(id))
    }
    await vi.waitFor(() => expect(missing()).toEqual([]), { timeout: 6_000, interval: 10 })
    // What is taken over comes in its order, and what came before it to the same member before that.
    for (const key of upTo(16)) {
      const came = [...new Set(survivor.of(`k${key}`))]
      expect(came).toEqual(came.toSorted((one, other) => Number(one) - Number(other)))
    }
  })

  it('goes on with a group whose only member was killed', async () => {
    const bus = test.open()
    const child = startMember()
    await child.heard('ready')
    await bus.publish(upTo(40).map((n) => numbered(`k${n % 8}`, Math.floor(n / 8))))
    // One message says that it is ready, the others are events.
    await vi.waitFor(() => expect(child.messages.length).toBeGreaterThan(40), { timeout: 10_000 })
    await child.kill()
    await bus.publish(upTo(8).map((key) => numbered(`k${key}`, 5)))
    const heir = await collect(bus, 'shared')
    const wanted = upTo(8).map((key) => `suite.tick/k${key}/5`)
    const seen = () => heir.envelopes.map(({ id }) => id)
    await vi.waitFor(() => expect(seen()).toEqual(expect.arrayContaining(wanted)), { timeout: 6_000, interval: 10 })
    for (const key of upTo(8)) expect(heir.of(`k${key}`)).toEqual(upTo(6).slice(-heir.of(`k${key}`).length))
  })
}

/** Notes every moment at which two members hold the same key. */
function keyGuard(): { overlaps: string[]; enter: (batch: readonly Delivery[]) => void; leave: (batch: readonly Delivery[]) => void } {
  const held = new Set<string>()
  const overlaps: string[] = []
  const keysOf = (batch: readonly Delivery[]) => new Set(batch.map(({ envelope }) => envelope?.subject ?? ''))
  return {
    overlaps,
    enter(batch) {
      for (const key of keysOf(batch)) {
        if (held.has(key)) overlaps.push(key)
        held.add(key)
      }
    },
    leave(batch) {
      for (const key of keysOf(batch)) held.delete(key)
    },
  }
}
