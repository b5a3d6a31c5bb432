import { busSuite } from './bus-suite.ts'
import { memoryBus, memoryBusLog } from './memory-bus.ts'

busSuite(
  'The bus in memory',
  {
    async create() {
      const log = memoryBusLog()
      return {
        place: 'memory',
        open: () => memoryBus({ log, maxBatch: 8 }),
        async putRaw(type, raw) {
          const position = (log.events.at(-1)?.position ?? 0) + 1
          log.events.push({ position, type, partition: 0, raw, storedAt: 0 })
          for (const wake of log.wakers) wake()
        },
        remove: async () => {},
      }
    },
  },
  { ordering: 'key', redelivery: true, replay: true },
)
