import { existsSync } from 'node:fs'
import { type Component, sleep, systemWorld, type Transaction } from '@banyan/core'
import { publish } from '@banyan/messaging'
import { crashPoint } from '@banyan/testing/crash'
import { roleOf, runRole, unlessAway, watched } from '../role.ts'
import { CLOSED, KEYS, saleMade } from './sale.ts'

// The service that sells: counts each sale and publishes it, in one transaction, until the shop is closed. After a crash it
// goes on from what it counted.

class Regret extends Error {}

/** Sales of each product: mishaps that are over before the work has begun show nothing. */
const AT_LEAST = 5

const role = roleOf()
const plain = await role.database('shop')
const database = watched(plain)
let selling: Promise<unknown> = Promise.resolve()
let stopping = false

const isClosed = () => existsSync(role.closing)
const producer: Component = {
  name: 'shop',
  async start() {
    selling = Promise.all(KEYS.map(sellAll)).then(close)
  },
  async stop() {
    stopping = true
    await selling
  },
}
await runRole(producer, { database: plain, bus: undefined })

async function sellAll(key: string): Promise<void> {
  let sold = 0
  while (!stopping && !(isClosed() && sold >= AT_LEAST)) {
    try {
      await unlessAway(async () => {
        sold = await (role.broken === 'outbox' ? sellCarelessly(key) : database.transaction((tx) => sellOne(tx, key)))
      })
      await sleep(systemWorld, systemWorld.random() * 80)
    } catch (error) {
      // One sale in six is called off at the last moment: nothing of it may be seen anywhere.
      if (!(error instanceof Regret)) throw error
    }
  }
}

async function sellOne(tx: Transaction, key: string): Promise<number> {
  const n = await count(tx, key)
  crashPoint('after-state')
  await publish(tx, saleMade, { key, n })
  if (systemWorld.random() < 1 / 6) throw new Regret()
  return n
}

/** As it should not be: the sale is committed, and published then. To show that the checker finds what that does. */
async function sellCarelessly(key: string): Promise<number> {
  const n = await database.transaction((tx) => count(tx, key))
  await database.transaction((tx) => publish(tx, saleMade, { key, n }))
  return n
}

async function count(tx: Transaction, key: string): Promise<number> {
  const [sold] = await tx.sql<{ n: number }>`select n from sold where key = ${key}`
  const n = (sold?.n ?? 0) + 1
  await tx.sql`insert into sold (key, n) values (${key}, ${n}) on conflict (key) do update set n = excluded.n`
  return n
}

/** Only now is what was sold known for good. */
async function close(): Promise<void> {
  if (!isClosed()) return
  const closed = () => plain.transaction((tx) => tx.sql`insert into sold (key, n) values (${CLOSED}, 1) on conflict (key) do nothing`)
  while (!stopping && !(await unlessAway(closed))) await sleep(systemWorld, 50)
}
