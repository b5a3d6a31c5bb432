import type { Bus, BusSubscription, Subscription } from '@banyan/core'
import { type BusKeeper, busKeeper } from './keeper.ts'
import { type BusReader, busReader } from './reader.ts'
import type { BusSettings, BusStore } from './store.ts'

/**
 * A bus over a log that many handles open: groups keep their place in it, the keys of a group are divided among its members in 16
 * partitions, each handled by one member at a time, in the order of the log, at least once.
 */
export function logBus(store: BusStore, settings: BusSettings): Bus {
  const crew = busCrew(store, settings)
  let closing: Promise<void> | undefined

  function assertOpen(action: string): void {
    if (closing) throw store.error('ERR_BUS_CLOSED', `cannot ${action}: the bus is closed`)
  }

  return {
    features: { ordering: 'key', redelivery: true, replay: true },
    async publish(batch) {
      assertOpen('publish')
      if (batch.length > 0) await store.log.append(batch)
    },
    async subscribe(subscription) {
      assertOpen('subscribe')
      return crew.add(subscription)
    },
    close() {
      closing ??= crew.stop().finally(() => store.close())
      return closing
    },
  }
}

/** The readers of one bus handle and what works for them; all of it only while there are any. */
function busCrew(store: BusStore, settings: BusSettings) {
  const { world } = settings
  const handle = world.uuid()
  const readers = new Set<BusReader>()
  let stopped = false
  let helpers: { keeper: BusKeeper; stop: () => Promise<void> } | undefined

  async function remove(reader: BusReader): Promise<void> {
    try {
      await reader.stop()
    } finally {
      readers.delete(reader)
      if (readers.size === 0) {
        const idle = helpers
        helpers = undefined
        await idle?.stop()
      }
    }
  }

  return {
    async add({ group, types, handle: deliver }: BusSubscription): Promise<Subscription> {
      if (types.length === 0) throw new TypeError(`cannot subscribe group "${group}": "types" is empty, wanted one event type or more`)
      const member = { id: world.uuid(), handle, group, types: [...new Set(types)] }
      const reader = busReader({ store, settings, member, handle: deliver, onMoved: () => helpers?.keeper.moved() })
      await reader.start()
      if (stopped) {
        await reader.stop()
        throw store.error('ERR_BUS_CLOSED', 'cannot subscribe: the bus is closed')
      }
      readers.add(reader)
      helpers ??= startHelpers(store, settings, handle, readers)
      let stopping: Promise<void> | undefined
      return {
        stop() {
          stopping ??= remove(reader)
          return stopping
        },
      }
    },
    async stop(): Promise<void> {
      stopped = true
      await Promise.all([...readers].map(remove))
    },
  }
}

function startHelpers(store: BusStore, settings: BusSettings, handle: string, readers: Set<BusReader>) {
  const keeper = busKeeper({ store, settings, handle, readers })
  const watching = store.watch((types) => {
    for (const reader of readers) if (!types || reader.member.types.some((type) => types.has(type))) reader.wake()
  })
  return {
    keeper,
    async stop() {
      await Promise.all([watching.stop(), keeper.stop()])
    },
  }
}
