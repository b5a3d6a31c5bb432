import { busOf, type Component, type Delivery, databaseOf, type Subscription } from '@banyan/core'
import { crashPoint } from '@banyan/testing/crash'
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
      const handleOne = async ({ envelope }: Delivery) => {
        if (!envelope) throw new Error('the bus carries sales only')
        // Only the producer of this example publishes here.
        const { key, n } = envelope.data as Sale
        const known = await database.read((tx) => tx.sql`select 1 as one from naive_inbox where id = ${envelope.id}`)
        if (known.length > 0) return
        await database.transaction(async (tx) => {
          await tx.sql`insert into effects (key, n) values (${key}, ${n})`
          crashPoint('after-effect')
        })
        await database.transaction((tx) => tx.sql`insert into naive_inbox (id) values (${envelope.id}) on conflict (id) do nothing`)
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
