import { type Database, type Logger, messageOf, sleep, type World } from '@banyan/core'
import { type SagaStore, sagaSignalsPort } from './store.ts'

export interface ArchiverOptions {
  readonly database: Database
  readonly store: SagaStore
  readonly world: World
  readonly log: Logger
  readonly keepFinishedMs: number
  readonly keepSignalsMs: number
}

/** Keeps the tables of running sagas small: finished ones go to the archive, old signals go. */
export interface Archiver {
  start(): void
  stop(): Promise<void>
}

/** How many rows are moved in one transaction, so that running sagas get their turn between two. */
const CHUNK = 100
/** Between two looks when there was nothing left to do. */
const PAUSE_MS = 10_000

export function archiver({ database, store, world, log, keepFinishedMs, keepSignalsMs }: ArchiverOptions): Archiver {
  const stopping = new AbortController()
  const signals = database.store(sagaSignalsPort)
  let loop: Promise<void> | undefined

  /** Whether there may be more. */
  async function tidy(): Promise<boolean> {
    const retired = await database.transaction((tx) => store.retire(tx, world.now() - keepFinishedMs, CHUNK))
    const forgotten = await database.transaction((tx) => signals.forget(tx, world.now() - keepSignalsMs, CHUNK))
    return retired === CHUNK || forgotten === CHUNK
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const more = await tidy().catch((error) => {
        log.warn({ error: messageOf(error) }, 'finished sagas could not be archived; trying again')
        return false
      })
      // Rejects only when stopping, which the loop's condition sees.
      await sleep(world, more ? 20 : PAUSE_MS, stopping.signal).catch(() => {})
    }
  }

  return {
    start() {
      loop = run()
    },
    async stop() {
      stopping.abort()
      await loop
    },
  }
}
