// The legacy program that the services grow around: its own tables, its own ways, and whatever the gateway has no route for.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { jsonServer } from './json-server.ts'

const folder = process.env.DATA_DIR ?? 'data'
mkdirSync(folder, { recursive: true })
const database = new DatabaseSync(join(folder, 'monolith.db'))
database.exec(`
  create table if not exists legacy_orders (no integer primary key, customer text, total text, state text);
  create table if not exists legacy_items (sku text primary key, title text, price text);
  insert or ignore into legacy_orders values (1001, 'Ada', '24.90', 'SHIPPED'), (1002, 'Grace', '18.50', 'SHIPPED'), (1003, 'Alan', '4.99', 'LOST');
  insert or ignore into legacy_items values ('RAKE-01', 'Rake', '12.00'), ('SPADE-02', 'Spade', '17.00');
`)

jsonServer('monolith', async ({ method, path }) => {
  const [, area, table, id] = path.split('/')
  if (method !== 'GET' || area !== 'legacy') return { status: 404, body: { error: `the monolith has no ${method} ${path}` } }
  if (table === 'orders' && id) return one(database.prepare('select * from legacy_orders where no = ?').get(id))
  if (table === 'orders') return { status: 200, body: database.prepare('select * from legacy_orders order by no').all() }
  if (table === 'catalog') return { status: 200, body: database.prepare('select * from legacy_items order by sku').all() }
  return { status: 404, body: { error: `the monolith has no ${method} ${path}` } }
})

function one(row: unknown) {
  return row ? { status: 200, body: row } : { status: 404, body: { error: 'no such order' } }
}
