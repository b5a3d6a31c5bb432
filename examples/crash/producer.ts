import { type Component, sleep, systemWorld, type Transaction } from '@banyan/core'
import { publish } from '@banyan/messaging'
import { crashPoint } from '@banyan/testing'
import { folderOf, openBus, openShop, runRole } from './role.ts'
import { KEYS, SALES, saleMade, shopTables } from './sale.ts'

// The service that sells: counts each sale and publishes it, in one transaction. After a crash it goes on from what it counted.

class Regret extends Error {}

const folder = folderOf()
const database = openShop(folder)
await database.migrate(shopTables)
let selling: Promise<unknown> = Promise.resolve()
let closing = false

const producer: Component = {
  name: 'shop',
  async start() {
    selling = Promise.all(KEYS.map(sellAll))
  },
  async stop() {
    closing = true
    await selling
  },
}
await runRole(producer, { database, bus: openBus(folder) })

async function sellAll(key: string): Promise<void> {
  for (let more = true; more && !closing; ) {
    try {
      more = await database.transaction((tx) => sellOne(tx, key))
      crashPoint('after-commit')
      // Slow enough that there is still something to break when the third process dies.
      await sleep(systemWorld, systemWorld.random() * 80)
    } catch (error) {
      // One sale in six is called off at the last moment: nothing of it may be seen anywhere.
      if (!(error instanceof Regret)) throw error
    }
  }
}

async function sellOne(tx: Transaction, key: string): Promise<boolean> {
  const [sold] = await tx.sql<{ n: number }>`select n from sold where key = ${key}`
  const n = (sold?.n ?? 0) + 1
  if (n > SALES) return false
  await tx.sql`insert into sold (key, n) values (${key}, ${n}) on conflict (key) do update set n = excluded.n`
  crashPoint('after-state')
  await publish(tx, saleMade, { key, n })
  tx.beforeCommit(async () => crashPoint('before-commit'))
  if (systemWorld.random() < 1 / 6) throw new Regret()
  return true
}
