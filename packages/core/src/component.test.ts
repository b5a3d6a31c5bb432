import { expect, test } from 'vitest'
import { busOf, type ComponentContext, databaseOf, silentLogger } from './component.ts'
import { manualWorld } from './manual-world.ts'

const context: ComponentContext = {
  service: 'orders',
  instanceId: 'i1',
  world: manualWorld(),
  log: silentLogger,
  database: undefined,
  bus: undefined,
}

test('a component without its database or bus says what to give', () => {
  expect(() => databaseOf(context, 'relay')).toThrow(
    `cannot start "relay": the service "orders" has no database; give service() one, as in { database: sqlite('data/orders.db') }`,
  )
  expect(() => busOf(context, 'relay')).toThrow(
    `cannot start "relay": the service "orders" has no bus; give service() one, as in { bus: sqliteBus('data/bus.db') }`,
  )
})
