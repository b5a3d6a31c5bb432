import type { Database, Logger, World } from '@banyan/core'
import { inboxPort } from './ports.ts'
import type { SettledMarks } from './settled-marks.ts'
import { pause } from './waker.ts'

/** How often to look for ids that are past their time: the inbox holds at most this much more than its retention. */
const EVERY_MS = 60_000
/** Ids forgotten in one transaction: few enough for it to take a few milliseconds. */
const CHUNK = 1_000
/** Between two chunks, so that others get the database. */
const BREATH_MS = 50

export interface InboxCleanerOptions {
  readonly database: Database
  readonly world: World
  readonly log: Logger
  readonly group: string
  readonly retentionMs: number
  readonly marks: SettledMarks
}

/**
 * Notes how far the group has settled the bus, and forgets the ids that were handled longer ago than `retentionMs`, a thousand
 * at a time: what the bus brings again after that is known by its place.
 */
export function inboxCleaner(options: InboxCleanerOptions): { start(): void; stop(): Promise<void> } {
  const { database, world, log, group, retentionMs, marks } = options
  const inbox = database.store(inboxPort)
  const abort = new AbortController()
  let running: Promise<void> = Promise.resolve()

  async function loop(): Promise<void> {
    // A process may not live for a minute: it begins with what those before it have left, and notes at its end what it has settled.
    for (let waitMs = BREATH_MS; ; ) {
      await pause(world, waitMs, abort.signal)
      const isLast = abort.signal.aborted
      try {
        const places = marks.pending()
        const forgotten = await database.transaction(async (tx) => {
          if (places.length > 0) await inbox.mark(tx, group, places)
          return inbox.clean(tx, group, world.now() - retentionMs, CHUNK)
        })
        marks.noted(places)
        waitMs = forgotten === CHUNK ? BREATH_MS : EVERY_MS
      } catch (error) {
        log.warn({ error, group }, 'cannot clean the inbox; it will be tried again')
        waitMs = EVERY_MS
      }
      if (isLast) return
    }
  }

  return {
    start() {
      running = loop()
    },
    stop() {
      abort.abort()
      return running
    },
  }
}
