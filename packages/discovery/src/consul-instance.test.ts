import { expect, test } from 'vitest'
import { readListing } from './consul-instance.ts'

/** A row of Consul's answer. */
const row = (node: string, id: string, port: number, checks: object[] = []) => ({
  Node: { Node: node, Address: '10.0.0.1' },
  Service: { ID: id, Service: 'orders', Address: '', Port: port },
  Checks: checks,
})
const listing = (...rows: object[]) => readListing('orders', { status: 200, text: JSON.stringify(rows), index: 7 })
const critical = (id: string) => ({ CheckID: id, Status: 'critical' })

test.each(['_service_maintenance:orders-1', '_node_maintenance'])('an instance that is out by %s is out on purpose', (check) => {
  const { healthy, failing } = listing(row('n1', 'orders-1', 3001, [critical(check), critical('service:orders-1')]))
  expect([healthy, [...failing]]).toEqual([[], []])
})

test('an id is one of its node: two nodes may have the same, and both are instances', () => {
  const { healthy, failing } = listing(row('n1', 'orders', 3001), row('n2', 'orders', 3002), row('n3', 'orders', 3003, [critical('c')]))
  expect(healthy.map(({ id, port }) => [id, port])).toEqual([
    ['orders@n1', 3001],
    ['orders@n2', 3002],
  ])
  expect([...failing]).toEqual(['orders@n3'])
})

test('an id that no other node has is what its instance said', () => {
  expect(listing(row('n1', 'orders-1', 3001), row('n2', 'orders-2', 3002)).healthy.map(({ id }) => id)).toEqual(['orders-1', 'orders-2'])
})
