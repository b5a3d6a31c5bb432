import { existsSync } from 'node:fs'
import { type Component, sleep, systemWorld, type Transaction } from '@banyan/core'
import { signal, startSaga } from '@banyan/saga'
import { roleOf, runComponent, runRole, unlessAway, watched } from '../role.ts'
import { CLOSED, hasWord, orderSaga, wordGiven } from './order.ts'
import { orchestratorName, orderWorker, untilNextOrder, watchAdvances } from './workers.ts'

// The service that takes orders and brings each of them to its end. After a crash it goes on from what it has placed.

const role = roleOf()
const plain = await role.database('orders')
watchAdvances(plain, role.broken === 'fence')
const database = watched(plain)
const definition = orderSaga(role.folder)
const WORD_LAG = 6
/** Mishaps that are over before the work has begun show nothing. */
const AT_LEAST = 12
let placing: Promise<unknown> = Promise.resolve()
let stopping = false

const isClosed = () => existsSync(role.closing)
const counter: Component = {
  name: 'orders',
  async start() {
    placing = placeAll().then(close)
  },
  async stop() {
    stopping = true
    await placing
  },
}
await runComponent(orderWorker(role.folder, orchestratorName), { service: 'orders', database: database })
await runRole(counter, { database: plain })

async function placeAll(): Promise<void> {
  let placed = 0
  while (!stopping && !(isClosed() && placed >= AT_LEAST)) {
    await unlessAway(async () => {
      placed = await database.transaction(placeOne)
    })
    await sleep(systemWorld, untilNextOrder())
  }
}

async function placeOne(tx: Transaction): Promise<number> {
  const [row] = await tx.sql<{ count: number }>`select count(*) as count from placed`
  const count = Number(row?.count) + 1
  const orderId = `order-${count}`
  const { id } = await startSaga(tx, definition, { orderId })
  await tx.sql`insert into placed (order_id, saga) values (${orderId}, ${id})`
  await giveWord(tx, `order-${count - WORD_LAG}`)
  return count
}

/** So many orders later an order gets its word: some before it waits for it, some after. Once, whatever is run again. */
async function giveWord(tx: Transaction, orderId: string): Promise<void> {
  if (hasWord(role.seed, orderId)) await signal(tx, definition, wordGiven, { orderId }, { id: orderId })
}

async function giveLastWords(tx: Transaction): Promise<void> {
  const placed = await tx.sql<{ order_id: string }>`select order_id from placed where order_id <> ${CLOSED}`
  for (const { order_id: orderId } of placed) await giveWord(tx, orderId)
  await tx.sql`insert into placed (order_id, saga) values (${CLOSED}, '') on conflict (order_id) do nothing`
}

/** Only now is what was placed known for good. */
async function close(): Promise<void> {
  if (!isClosed()) return
  const closed = () => plain.transaction(giveLastWords)
  while (!stopping && !(await unlessAway(closed))) await sleep(systemWorld, 50)
}
