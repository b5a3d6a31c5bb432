// A payment provider, outside the system: declines amounts that end in .13, and can be made slow, flaky or dead by POST /mode.
// It keeps its ledger on disk, as a real one does, and what it did by idempotency key.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { type Answer, jsonServer } from './json-server.ts'

const folder = process.env.DATA_DIR ?? 'data'
mkdirSync(folder, { recursive: true })
const ledger = new DatabaseSync(join(folder, 'psp.db'))
ledger.exec(`
  pragma journal_mode = wal;
  create table if not exists charges (key text primary key, amount_cents integer not null, status text not null);
`)

const mode = { latencyMs: 5, failureRate: 0, down: false }

jsonServer('psp', async ({ method, path, key, body }) => {
  if (method === 'POST' && path === '/mode') return { status: 200, body: Object.assign(mode, body) }
  if (mode.down) return { status: 503, body: { error: 'the provider is down' } }
  await pause(mode.latencyMs)
  if (Math.random() < mode.failureRate) return { status: 500, body: { error: 'the provider stumbled' } }
  if (method === 'GET' && path === '/ledger') return { status: 200, body: ledger.prepare('select * from charges').all() }
  if (!key) return { status: 400, body: { error: 'an idempotency-key header is wanted' } }
  if (method === 'POST' && path === '/charges') return charge(key, body.amountCents)
  if (method === 'POST' && path === '/refunds') return refund(key)
  return { status: 404, body: { error: `there is no ${method} ${path}` } }
})

function charge(key: string, amountCents: unknown): Answer {
  if (typeof amountCents !== 'number' || amountCents < 0) return { status: 400, body: { error: 'amountCents: wanted a number from 0' } }
  const status = amountCents % 100 === 13 ? 'declined' : 'accepted'
  // The first word on a key is the last: a repeated charge, or one after its refund, changes nothing.
  ledger
    .prepare('insert into charges (key, amount_cents, status) values (?, ?, ?) on conflict (key) do nothing')
    .run(key, amountCents, status)
  return { status: 200, body: ledger.prepare('select status from charges where key = ?').get(key) }
}

function refund(key: string): Answer {
  ledger
    .prepare(`insert into charges (key, amount_cents, status) values (?, 0, 'refunded')
      on conflict (key) do update set status = 'refunded' where status = 'accepted'`)
    .run(key)
  return { status: 200, body: ledger.prepare('select status from charges where key = ?').get(key) }
}
