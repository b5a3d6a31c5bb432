import type { Bus, Component, Database } from '@banyan/core'
import { relay } from '@banyan/messaging'
import { crashPoint } from '@banyan/testing/crash'

/** A relay with short times, so that another takes over while a trial still runs. */
export function shopRelay(): Component {
  const moving = relay({ batchSize: 10, leaseMs: 250, maxPollMs: 250 })
  return {
    ...moving,
    async start(context) {
      if (context.database?.dialect === 'postgres') await passMillion(context.database)
      await moving.start(context)
    },
  }
}

/** As after a million events: a relay that starts now begins a new segment of the outbox, or drops one, in the midst of what others do. */
async function passMillion(database: Database): Promise<void> {
  await database.transaction(
    (tx) => tx.sql`select setval('banyan_outbox_position', nextval('banyan_outbox_position') + 1048576) where exists (select from sold)`,
  )
}

/** The bus, with a point before and one after each publishing. */
export function watchedPublish(bus: Bus): Bus {
  return {
    ...bus,
    async publish(batch) {
      crashPoint('before-publish')
      await bus.publish(batch)
      crashPoint('after-publish')
    },
  }
}
