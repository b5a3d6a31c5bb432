import type { OutboxEntry, OutboxLog } from './ports.ts'

/** Reads a partition batch after batch; the next one while the one before is worked on. */
export interface OutboxFeed {
  /** What comes after everything that is settled: up to `limit` records, or up to so many `times` that, fewer where they are large. */
  next(limit: number, times?: number): Promise<readonly OutboxEntry[]>
  /** Everything up to `position` is settled. */
  settled(position: number): void
  /** Resolves when nothing is being read any more. */
  end(): Promise<void>
}

/** Beyond so many characters of events no further ones are read: they stay in memory until they are sent. */
const MOST_TEXT = 67_108_864

/** Creates an {@link OutboxFeed} that begins after the position `from`. */
export function outboxFeed(outbox: OutboxLog, partition: number, from: number): OutboxFeed {
  let cursor = from
  let ahead: { readonly after: number; readonly limit: number; readonly entries: Promise<OutboxEntry[]> } | undefined

  function readAhead(after: number, limit: number): void {
    const entries = outbox.read(partition, after, limit)
    // Whoever takes it hears of its failure; when nobody does, it is read again.
    entries.catch(() => undefined)
    ahead = { after, limit, entries }
  }

  /** Reads on behind `entries`, a part at a time, as a store may give only a few at once. */
  async function further(entries: readonly OutboxEntry[], limit: number, parts: number): Promise<readonly OutboxEntry[]> {
    let all = entries
    let text = lengthOf(entries)
    let last = entries.at(-1)
    for (let left = parts; last && left > 0 && text < MOST_TEXT; left -= 1) {
      const more = await outbox.read(partition, last.position, limit)
      all = all.concat(more)
      text += lengthOf(more)
      last = more.at(-1)
    }
    return all
  }

  return {
    async next(limit, times = 1) {
      const ready = ahead
      ahead = undefined
      const fits = ready?.after === cursor && ready.limit === limit
      const entries = await (fits ? ready.entries : outbox.read(partition, cursor, limit))
      if (times > 1) return further(entries, limit, times - 1)
      const last = entries.at(-1)
      // A batch that is not full was all there is, or large: then what comes next is read when it is wanted.
      if (last && entries.length === limit) readAhead(last.position, limit)
      return entries
    },
    settled(position) {
      cursor = position
    },
    async end() {
      await ahead?.entries.catch(() => undefined)
    },
  }
}

function lengthOf(entries: readonly OutboxEntry[]): number {
  return entries.reduce((sum, { body }) => sum + body.length, 0)
}
