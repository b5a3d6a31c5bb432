import { describe, expect, it } from 'vitest'
import { outboxFeed } from './outbox-feed.ts'
import type { OutboxEntry, OutboxLog } from './ports.ts'

const entry = (position: number): OutboxEntry => ({ position, body: '{}' })

/** An outbox of so many records that notes where it was read from. */
function outboxOf(count: number) {
  const asked: (number | undefined)[] = []
  const state = { broken: false }
  const read: OutboxLog['read'] = async (_partition, after, limit) => {
    asked.push(after)
    if (state.broken) throw new Error('away')
    return Array.from({ length: count }, (_, index) => entry(index + 1))
      .filter(({ position }) => position > (after ?? 0))
      .slice(0, limit)
  }
  // Only reading is asked of it.
  return { asked, state, outbox: { read } as OutboxLog }
}

const positions = (entries: readonly OutboxEntry[]) => entries.map(({ position }) => position)

describe('outboxFeed', () => {
  it('reads the next batch while the one before is worked on', async () => {
    const { outbox, asked } = outboxOf(5)
    const feed = outboxFeed(outbox, 0, 0)
    expect(positions(await feed.next(2))).toEqual([1, 2])
    expect(asked).toEqual([0, 2])
    feed.settled(2)
    expect(positions(await feed.next(2))).toEqual([3, 4])
    expect(asked).toEqual([0, 2, 4])
    feed.settled(4)
    expect(positions(await feed.next(2))).toEqual([5])
    expect(asked).toEqual([0, 2, 4])
  })

  it('reads again what was not settled', async () => {
    const { outbox } = outboxOf(5)
    const feed = outboxFeed(outbox, 0, 0)
    await feed.next(2)
    expect(positions(await feed.next(2))).toEqual([1, 2])
    feed.settled(1)
    expect(positions(await feed.next(3))).toEqual([2, 3, 4])
  })

  it('reads several times as much in parts, where that is there', async () => {
    const { outbox, asked } = outboxOf(5)
    const feed = outboxFeed(outbox, 0, 0)
    expect(positions(await feed.next(2, 2))).toEqual([1, 2, 3, 4])
    expect(positions(await feed.next(2, 8))).toEqual([1, 2, 3, 4, 5])
    expect(asked).toEqual([0, 2, 0, 2, 4, 5])
  })

  it('reads no further part once 64 MB are in memory', async () => {
    // One text, so that this takes no memory.
    const body = 'x'.repeat(20_000_000)
    const read: OutboxLog['read'] = async (_partition, after = 0) => [{ ...entry(after + 1), body }]
    expect(positions(await outboxFeed({ read } as OutboxLog, 0, 0).next(1, 64))).toEqual([1, 2, 3, 4])
  })

  it('tells of a failed read when it comes to it, and only then', async () => {
    const { outbox, state } = outboxOf(5)
    const feed = outboxFeed(outbox, 0, 0)
    await feed.next(5)
    state.broken = true
    feed.settled(2)
    await expect(feed.next(2)).rejects.toThrow('away')
    state.broken = false
    expect(positions(await feed.next(2))).toEqual([3, 4])
    await feed.end()
  })
})
