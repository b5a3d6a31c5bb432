import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ComponentContext, event, type Schema, silentLogger, systemWorld } from '@banyan/core'
import { publish, relay } from '@banyan/messaging'
import { nothing, runSagas, saga, sagas, signalSagas, startSaga } from '@banyan/saga'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { sqliteBus } from './bus.ts'
import { sqlite } from './database.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-saga-signals-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

interface Approval {
  orderId: string
  by: string
}
const schema: Schema<Approval> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Approval }) } }
const approved = event('order.approved', { schema, key: ({ orderId }) => orderId })

it('events from the bus reach the sagas that wait for them, before or after, each once', { timeout: 30_000 }, async () => {
  const shipped: string[] = []
  const order = saga<{ orderId: string }>('order', { version: 1, key: ({ orderId }) => orderId })
    .wait('first', { for: approved, where: (c) => c.input.orderId, withinMs: 20_000, otherwise: 'undo' })
    .wait('second', { for: approved, where: (c) => c.input.orderId, withinMs: 20_000, otherwise: 'undo' })
    .step('ship', { do: (c) => void shipped.push(`${c.input.orderId} ${c.first.by} ${c.second.by}`), undo: nothing('x') })
    .done()
  const database = sqlite(join(folder, 'orders.db'), { log: silentLogger })
  const bus = sqliteBus(join(folder, 'bus.db'), { log: silentLogger })
  const context: ComponentContext = { service: 'orders', instanceId: 'i-1', world: systemWorld, log: silentLogger, database, bus }
  const components = [relay(), signalSagas([order]), runSagas([order], { pollMs: 50 })]
  for (const component of components) await component.start(context)
  const orders = Array.from({ length: 20 }, (_, n) => `o${n}`)
  const approve = (by: string) => Promise.all(orders.map((orderId) => database.transaction((tx) => publish(tx, approved, { orderId, by }))))
  await Promise.all([approve('ada'), ...orders.map((orderId) => startSaga(database, order, { orderId }))])
  await approve('bob')
  await vi.waitFor(async () => expect(await sagas(database).list({ status: 'completed', limit: 100 })).toHaveLength(20), {
    timeout: 20_000,
  })
  expect(shipped.toSorted()).toEqual(orders.map((orderId) => `${orderId} ada bob`).toSorted())
  for (const component of components.reverse()) await component.stop()
  await bus.close()
  await database.close()
})
