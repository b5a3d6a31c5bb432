import { type Logger, manualWorld } from '@banyan/core'
import { describe, expect, it, vi } from 'vitest'
import { keyQueueWorker } from './key-queue.ts'
import { DEFAULT_RETRY } from './parking.ts'
import { relayFailure } from './relay-failure.ts'
import { testDatabase } from './test/database.ts'

const POLL_MS = 1_000

function setUp() {
  const world = manualWorld()
  const database = testDatabase(world)
  const lines: { level: string; fields: object; message: string }[] = []
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message })
  const log: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  const worker = keyQueueWorker({
    database,
    world,
    log,
    group: 'orders/relay',
    retry: DEFAULT_RETRY,
    concurrency: 4,
    pollMs: POLL_MS,
    run: async () => {},
    failureOf: relayFailure,
    onRun: () => {},
  })
  const loud = () => lines.filter(({ level }) => level !== 'debug')
  const quiet = () => lines.filter(({ level }) => level === 'debug')
  /** Lets the worker look once more. */
  const poll = () => world.advance(POLL_MS)
  return { database, worker, loud, quiet, poll }
}

describe('the key queue while the database is away', () => {
  it('says so once, and once when it is back, with how long', async () => {
    const { database, worker, loud, quiet, poll } = setUp()
    database.breakWith(new Error('away'))
    worker.start()
    await vi.waitFor(() => expect(loud()).toHaveLength(1))
    for (let seen = 1; seen <= 4; seen += 1) {
      await poll()
      await vi.waitFor(() => expect(quiet()).toHaveLength(seen))
    }
    expect(loud()).toMatchObject([{ level: 'error', fields: { group: 'orders/relay', error: { message: 'away' } } }])

    database.breakWith(undefined)
    await poll()
    await vi.waitFor(() => expect(loud()).toHaveLength(2))
    expect(loud()[1]).toMatchObject({ level: 'warn', fields: { awayMs: 5 * POLL_MS }, message: 'the key queue can be read again' })

    database.breakWith(new Error('away again'))
    await poll()
    await vi.waitFor(() => expect(loud()).toHaveLength(3))
    database.breakWith(undefined)
    await worker.stop()
  })
})
