import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Database, systemWorld } from '@banyan/core'
import { deadLetters } from '@banyan/messaging'
import { outboxLogPort } from '@banyan/messaging/internal'
import { checkEffects, type Numbered } from '@banyan/testing/crash'
import { closingFile } from '../role.ts'
import type { Scenario, Verdict } from '../scenario.ts'
import { bookTables, CLOSED, saleMade, shopTables } from './sale.ts'

const COMMIT = ['before-commit', 'after-commit']
const RELAY = ['before-publish', 'after-publish', ...COMMIT]
const CONSUMER = ['after-effect', ...COMMIT, 'before-acknowledge']
/** Longer than the leases of relay and bus. */
const PAUSE = { min: 350, max: 700 }

/** A shop that sells, its relay, a bus, and a service that keeps the book: each sale comes to the book once, and in order. */
export const messaging: Scenario = {
  name: 'messaging',
  programs: Object.fromEntries(['producer', 'relay', 'consumer', 'rival'].map((role) => [role, join(import.meta.dirname, `${role}.ts`)])),
  victims: [
    { role: 'producer', points: ['after-state', ...COMMIT] },
    { role: 'relay', points: RELAY, pauseMs: PAUSE },
    { role: 'consumer', points: CONSUMER, pauseMs: PAUSE },
    { role: 'rival', points: [...RELAY, ...CONSUMER], pauseMs: PAUSE },
  ],
  onBus: ['relay', 'consumer', 'rival'],
  wanted: [
    { service: 'shop', migrations: () => shopTables },
    { service: 'book', migrations: bookTables },
  ],
  bus: { group: 'book', types: [saleMade.name] },
  breaks: ['inbox', 'outbox'],
  watch({ folder, databases: { shop, book } }) {
    if (!shop || !book) throw new RangeError('cannot watch: the trial has no databases "shop" and "book"')
    return {
      close: async () => writeFileSync(closingFile(folder), ''),
      isDone: () => isDone(shop, book),
      progress: () => progress(shop, book),
      check: () => check(shop, book),
    }
  },
}

/** The shop is closed, everything has an effect, and nothing waits. */
async function isDone(shop: Database, book: Database): Promise<boolean> {
  const [closed] = await shop.read((tx) => tx.sql`select 1 as one from sold where key = ${CLOSED}`)
  if (!closed) return false
  const [row] = await book.read(
    (tx) => tx.sql<{ count: number }>`select count(*) as count from (select distinct key, n from effects) as seen`,
  )
  return Number(row?.count) === (await sentOf(shop)).length && (await waiting(shop, book)).length === 0
}

async function progress(shop: Database, book: Database): Promise<string> {
  const [row] = await book.read((tx) => tx.sql<{ count: number }>`select count(*) as count from effects`)
  const { backlog } = await shop.read((tx) => shop.store(outboxLogPort).stats(tx))
  return `${(await sentOf(shop)).length} sales, ${backlog} in the outbox, ${row?.count} effects`
}

async function check(shop: Database, book: Database): Promise<Verdict> {
  const sent = await sentOf(shop)
  const effects = await book.read((tx) => tx.sql<Numbered>`select key, n from effects order by position`)
  const { lost, twice, inverted, invented } = checkEffects(sent, effects)
  const named = (list: readonly Numbered[]) => list.map(({ key, n }) => `${key} ${n}`)
  return {
    faults: {
      lost: named(lost),
      twice: named(twice),
      inverted: named(inverted),
      invented: named(invented),
      'in limbo': await waiting(shop, book),
    },
    counts: { sales: sent.length },
  }
}

/** The sales that the shop has counted: each was published, or the transaction is broken. */
async function sentOf(shop: Database): Promise<Numbered[]> {
  const rows = await shop.read((tx) => tx.sql<Numbered>`select key, n from sold where key <> ${CLOSED} order by key`)
  return rows.flatMap(({ key, n }) => Array.from({ length: n }, (_, index) => ({ key, n: index + 1 })))
}

/** What is on its way or parked: nothing, when all is over. */
async function waiting(shop: Database, book: Database): Promise<string[]> {
  const { backlog, oldestAt } = await shop.read((tx) => shop.store(outboxLogPort).stats(tx))
  const age = oldestAt === undefined ? '' : `, the oldest since ${systemWorld.now() - oldestAt} ms`
  const parked = [...(await deadLetters(shop).stats()), ...(await deadLetters(book).stats())]
  return [
    ...(backlog > 0 ? [`${backlog} events in the outbox${age}`] : []),
    ...parked.map(({ group, waiting: behind, deadLetters: dead }) => `${behind} parked messages and ${dead} dead letters of ${group}`),
  ]
}
