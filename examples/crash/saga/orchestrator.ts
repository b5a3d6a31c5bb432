import { existsSync } from 'node:fs'
import { type Component, sleep, systemWorld, type Transaction } from '@banyan/core'
import { startSaga } from '@banyan/saga'
import { roleOf, runComponent, runRole, unlessAway, watched } from '../role.ts'
import { CLOSED, orderSaga } from './order.ts'
import { orchestratorName, orderWorker, untilNextOrder, watchAdvances } from './workers.ts'

// The service that takes orders and brings each of them to its end. After a crash it goes on from what it has placed.

const role = roleOf()
const plain = await role.database('orders')
watchAdvances(plain, role.broken === 'fence')
const database = watched(plain)
const definition = orderSaga(role.folder)
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
  while (!stopping && !isClosed()) {
    await unlessAway(() => database.transaction(placeOne))
    await sleep(systemWorld, untilNextOrder())
  }
}

async function placeOne(tx: Transaction): Promise<void> {
  const [row] = await tx.sql<{ count: number }>`select count(*) as count from placed`
  const orderId = `order-${Number(row?.count) + 1}`
  const { id } = await startSaga(tx, definition, { orderId })
  await tx.sql`insert into placed (order_id, saga) values (${orderId}, ${id})`
}

/** Only now is what was placed known for good. */
async function close(): Promise<void> {
  if (!isClosed()) return
  const closed = () =>
    plain.transaction((tx) => tx.sql`insert into placed (order_id, saga) values (${CLOSED}, '') on conflict (order_id) do nothing`)
  while (!stopping && !(await unlessAway(closed))) await sleep(systemWorld, 50)
}
