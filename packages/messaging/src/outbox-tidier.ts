import type { Database, Logger, World } from '@banyan/core'
import { outboxLogPort } from './ports.ts'
import { pause } from './waker.ts'

/** How often: sent records may stay so much longer. */
const EVERY_MS = 10_000

/** Has the outbox drop what is sent and make room for what comes, now and then. */
export function outboxTidier(options: { database: Database; world: World; log: Logger }): { start(): void; stop(): Promise<void> } {
  const { database, world, log } = options
  const abort = new AbortController()
  let running: Promise<void> = Promise.resolve()

  async function loop(): Promise<void> {
    while (!abort.signal.aborted) {
      await database
        .store(outboxLogPort)
        .tidy()
        .catch((error: unknown) => log.warn({ error }, 'cannot tidy the outbox; it will be tried again'))
      await pause(world, EVERY_MS, abort.signal)
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
