import type { OutboxEntry, OutboxLog } from './ports.ts'

/** Reads a partition batch after batch; the next one while the one before is worked on. */
export interface OutboxFeed {
  /** What comes after everything that is settled, up to `limit` records. */
  next(limit: number): Promise<readonly OutboxEntry[]>
  /** Everything up to `position` is settled. */
  settled(position: number): void
  /** Resolves when nothing is being read any more. */
  end(): Promise<void>
}

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

  return {
    async next(limit) {
      const ready = ahead
      ahead = undefined
      const fits = ready?.after === cursor && ready.limit === limit
      const entries = await (fits ? ready.entries : outbox.read(partition, cursor, limit))
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
