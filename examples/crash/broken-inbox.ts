import { busOf, type Component, type Delivery, databaseOf, type Subscription } from '@banyan/core'
import { crashPoint } from '@banyan/testing'
import { type Sale, saleMade } from './sale.ts'

/**
 * A consumer as it should not be: it notes that a message is handled in a transaction of its own. To show that the checker
 * finds what that does.
 */
export function consumeWithBrokenInbox(): Component {
  let subscription: Subscription | undefined
  return {
    name: 'book',
    async start(context) {
      const database = databaseOf(context, 'book')
      await database.migrate([{ id: '002-naive-inbox', sql: 'create table naive_inbox (id text primary key) strict' }])
      const handleOne = async ({ envelope }: Delivery) => {
        if (!envelope) throw new Error('the bus carries sales only')
        // Only the producer of this example publishes here.
        const { key, n } = envelope.data as Sale
        const known = await database.read((tx) => tx.sql`select 1 from naive_inbox where id = ${envelope.id}`)
        if (known.length > 0) return
        await database.transaction(async (tx) => {
          await tx.sql`insert into effects (key, n) values (${key}, ${n})`
        })
        crashPoint('after-commit')
        await database.transaction(async (tx) => {
          await tx.sql`insert into naive_inbox (id) values (${envelope.id})`
        })
      }
      const handle = async (batch: readonly Delivery[]) => {
        for (const delivery of batch) await handleOne(delivery)
      }
      subscription = await busOf(context, 'book').subscribe({ group: 'book', types: [saleMade.name], handle })
    },
    async stop() {
      await subscription?.stop()
    },
  }
}
