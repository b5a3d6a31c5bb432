import { type Bus, type Component, systemWorld } from '@banyan/core'
import { consume } from '@banyan/messaging'
import { crashPoint } from '@banyan/testing'
import { consumeWithBrokenInbox } from './broken-inbox.ts'
import { folderOf, openBook, openBus, runRole } from './role.ts'
import { bookTables, saleMade } from './sale.ts'

// The service that keeps the book: one row a sale.

const folder = folderOf()
const database = openBook(folder)
await database.migrate(bookTables)
const bus = openBus(folder)

const keepBook: Component = consume(
  saleMade,
  async ({ data: { key, n } }, tx) => {
    await tx.sql`insert into effects (key, n) values (${key}, ${n})`
    crashPoint('after-effect')
    tx.beforeCommit(async () => crashPoint('before-commit'))
    tx.afterCommit(() => crashPoint('after-commit'))
    // One in thirty fails and is parked, with what comes behind it.
    if (systemWorld.random() < 1 / 30) throw new Error('a failure now and then')
  },
  { retry: { attempts: 50, baseMs: 2, capMs: 10 }, pollMs: 50 },
)

const watched: Bus = {
  ...bus,
  subscribe: (subscription) =>
    bus.subscribe({
      ...subscription,
      async handle(batch) {
        await subscription.handle(batch)
        crashPoint('before-acknowledge')
      },
    }),
}
await runRole(process.argv.includes('--break-inbox') ? consumeWithBrokenInbox() : keepBook, { database, bus: watched })
