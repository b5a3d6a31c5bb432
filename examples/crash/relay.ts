import type { Bus } from '@banyan/core'
import { relay } from '@banyan/messaging'
import { crashPoint } from '@banyan/testing'
import { folderOf, openBus, openShop, runRole } from './role.ts'

// A process of its own for the relay of the shop's database.

const folder = folderOf()
const bus = openBus(folder)
const watched: Bus = {
  ...bus,
  async publish(batch) {
    crashPoint('before-publish')
    await bus.publish(batch)
    crashPoint('after-publish')
  },
}
await runRole(relay({ batchSize: 10, leaseMs: 250, maxPollMs: 50 }), { database: openShop(folder), bus: watched })
