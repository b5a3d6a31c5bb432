import type { Database, Logger, World } from '@banyan/core'
import { inboxPort } from './ports.ts'
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
}

/** Forgets the ids of a group that were handled longer ago than `retentionMs`, a thousand at a time. */
export function inboxCleaner(options: InboxCleanerOptions): { start(): void; stop(): Promise<void> } {
  const { database, world, log, group, retentionMs } = options
  const inbox = database.store(inboxPort)
  const abort = new AbortController()
  let running: Promise<void> = Promise.resolve()

  async function loop(): Promise<void> {
    for (let waitMs = EVERY_MS; ; ) {
      await pause(world, waitMs, abort.signal)
      if (abort.signal.aborted) return
      try {
        const forgotten = await database.transaction((tx) => inbox.clean(tx, group, world.now() - retentionMs, CHUNK))
        waitMs = forgotten === CHUNK ? BREATH_MS : EVERY_MS
      } catch (error) {
        log.warn({ error, group }, 'cannot clean the inbox; it will be tried again')
        waitMs = EVERY_MS
      }
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
