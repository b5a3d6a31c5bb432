import { type Bus, type Component, systemWorld } from '@banyan/core'
import { consume } from '@banyan/messaging'
import { crashPoint } from '@banyan/testing/crash'
import { consumeWithBrokenInbox } from './broken-inbox.ts'
import { saleMade } from './sale.ts'

/** The consumer that keeps the book: one row a sale. `broken`: what is wrong with it on purpose. */
export function keepBook(broken: string | undefined): Component {
  if (broken === 'inbox') return consumeWithBrokenInbox()
  return consume(
    saleMade,
    async ({ data: { key, n } }, tx) => {
      await tx.sql`insert into effects (key, n) values (${key}, ${n})`
      crashPoint('after-effect')
      // One in thirty fails and is parked, with what comes behind it.
      if (systemWorld.random() < 1 / 30) throw new Error('a failure now and then')
    },
    { group: 'book', retry: { attempts: 50, baseMs: 2, capMs: 10 }, pollMs: 50 },
  )
}

/** The bus, with a point before each acknowledgement of a batch. */
export function watchedDelivery(bus: Bus): Bus {
  return {
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
}
