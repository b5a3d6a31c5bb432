import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { migrations as history } from '../history/migrations.ts'
import { migrations as inventory } from '../inventory/migrations.ts'
import { checkInvariants } from '../load/invariants.ts'
import { migrations as notifications } from '../notifications/migrations.ts'
import { migrations as orders } from '../orders/migrations.ts'
import { migrations as payments } from '../payments/migrations.ts'
import { migrations as shipping } from '../shipping/migrations.ts'

const PSP = [{ sql: 'create table charges (key text primary key, amount_cents integer not null, status text not null)' }]
const SCHEMAS = { orders, inventory, payments, shipping, notifications, history, psp: PSP }
type Service = keyof typeof SCHEMAS

let folder: string

// The books of a shop with one confirmed order, `good`, and one rejected one, `declined`.
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-books-'))
  for (const [service, migrations] of Object.entries(SCHEMAS)) change(service as Service, migrations.map(({ sql }) => sql).join(';'))
  const items = JSON.stringify([{ productId: 'fig-tree', quantity: 2 }])
  change(
    'orders',
    `insert into orders (order_id, customer_id, items, total_cents, checkout, status, reason) values
      ('good', 'ada', '${items}', 4980, 'orchestration', 'confirmed', null), ('declined', 'ada', '${items}', 4913, 'orchestration', 'rejected', 'declined')`,
  )
  change('inventory', "insert into stock values ('fig-tree', 10, 8, 1)")
  change('inventory', `insert into reservations values ('r1', 'good', '${items}', 'held'), ('r2', 'declined', '${items}', 'released')`)
  change(
    'payments',
    "insert into payments values ('p1', 'good', 4980, 'orchestration', 'succeeded'), ('p2', 'declined', 4913, 'orchestration', 'declined')",
  )
  change('psp', "insert into charges values ('p1', 4980, 'accepted'), ('p2', 4913, 'declined')")
  change('shipping', "insert into shipments values ('s1', 'good', 'ada', 'BY1')")
  for (const [id, order, kind] of [
    ['n1', 'good', 'received'],
    ['n2', 'good', 'confirmed'],
    ['n3', 'good', 'shipped'],
    ['n4', 'declined', 'received'],
    ['n5', 'declined', 'rejected'],
  ]) {
    change('notifications', `insert into notifications values ('${id}', 'ada', '${order}', '${kind}', '')`)
  }
  change(
    'history',
    "insert into order_history values ('good', 'ada', 4980, 'confirmed', null, 1, 1), ('declined', 'ada', 4913, 'rejected', 'declined', 0, 0)",
  )
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function change(service: Service, sql: string): void {
  const database = new DatabaseSync(join(folder, `${service}.db`))
  database.exec(sql)
  database.close()
}

const accepted = ['good', 'declined']

describe('the checker of the books', () => {
  it('finds nothing in books that are right', async () => {
    expect(await checkInvariants({ dataDir: folder }, accepted)).toEqual({ orders: { confirmed: 1, rejected: 1 }, broken: [] })
  })

  it.each<[string, Service, string, RegExp, string]>([
    ['an order without an end', 'orders', "update orders set status = 'pending' where order_id = 'declined'", /ends confirmed/, 'declined'],
    [
      'a confirmed order that is not charged',
      'payments',
      "update payments set status = 'refunded' where order_id = 'good'",
      /payments/,
      'good',
    ],
    ['a wrong amount', 'payments', "update payments set amount_cents = 1 where order_id = 'good'", /payments/, 'good'],
    ['a charge the provider does not know', 'psp', 'delete from charges', /ledger/, 'good'],
    ['money the provider kept', 'psp', "update charges set status = 'accepted' where key = 'p2'", /ledger/, 'declined'],
    ['stock that was not given back', 'inventory', "update reservations set status = 'held'", /inventory/, 'declined'],
    ['stock that is gone', 'inventory', 'update stock set available = 6', /stock taken/, 'stock of fig-tree'],
    ['a parcel that was not sent', 'shipping', 'delete from shipments', /shipment/, 'good'],
    ['a parcel for nobody', 'shipping', "insert into shipments values ('s2', 'declined', 'ada', 'BY2')", /shipment/, 'declined'],
    ['a message sent twice', 'notifications', "insert into notifications values ('n6', 'ada', 'good', 'shipped', '')", /message/, 'good'],
    ['a message not sent', 'notifications', "delete from notifications where notification_id = 'n5'", /message/, 'declined'],
    [
      'a message to somebody else',
      'notifications',
      "update notifications set customer_id = 'grace' where notification_id = 'n3'",
      /message/,
      'good',
    ],
    ['a parcel for somebody else', 'shipping', "update shipments set customer_id = 'grace'", /shipment/, 'good'],
    ['another reason', 'history', "update order_history set reason = 'out-of-stock' where order_id = 'declined'", /read model/, 'declined'],
    ['a sold product without stock', 'inventory', 'delete from stock', /stock taken/, 'stock of fig-tree'],
    ['a charge under a key that no payment has', 'psp', "insert into charges values ('p3', 4980, 'accepted')", /ledger/, 'charge p3'],
    [
      'a charge of no order',
      'payments',
      "insert into payments values ('p3', 'gone', 1, 'orchestration', 'succeeded')",
      /not in the books/,
      'gone',
    ],
    ['stock held by no order', 'inventory', "insert into reservations values ('r3', 'gone', '[]', 'held')", /not in the books/, 'gone'],
    ['a parcel of no order', 'shipping', "insert into shipments values ('s3', 'gone', 'ada', 'BY3')", /not in the books/, 'gone'],
    [
      'a message of no order',
      'notifications',
      "insert into notifications values ('n6', 'ada', 'gone', 'received', '')",
      /not in the books/,
      'gone',
    ],
    [
      'a read model of no order',
      'history',
      "insert into order_history values ('gone', 'ada', 1, 'pending', null, 0, 0)",
      /not in the books/,
      'gone',
    ],
    ['a read model that lags', 'history', "update order_history set status = 'pending' where order_id = 'good'", /read model/, 'good'],
  ])('finds %s', async (_, service, sql, rule, order) => {
    change(service, sql)
    const found = (await checkInvariants({ dataDir: folder }, accepted)).broken.filter((broken) => rule.test(broken.rule))
    expect(found.map(({ orders }) => orders)).toEqual([[order]])
  })

  it('finds an order that was accepted and lost', async () => {
    expect((await checkInvariants({ dataDir: folder }, [...accepted, 'lost'])).broken).toEqual([
      { rule: 'an accepted order is in the books', orders: ['lost'] },
    ])
  })
})
