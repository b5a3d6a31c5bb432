import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, manualWorld } from '@banyan/core'
import { deadLetters } from '@banyan/messaging'
import {
  type CrashRole,
  type CrashTrial,
  checkEffects,
  countFaults,
  crashPlan,
  crashTrial,
  type EffectFaults,
  type Kill,
  type Numbered,
} from '@banyan/testing'
import { openBook, openShop } from './role.ts'
import { bookTables, KEYS, SALES, shopTables } from './sale.ts'

/** The roles and the places where each may die. */
export const POINTS: Readonly<Record<string, readonly string[]>> = {
  producer: ['after-state', 'before-commit', 'after-commit'],
  relay: ['before-publish', 'after-publish'],
  consumer: ['after-effect', 'before-commit', 'after-commit', 'before-acknowledge'],
}

export interface TrialOptions {
  readonly seed: number
  /** Who is killed. */
  readonly victims: readonly string[]
  readonly kills: number
  /** Who is killed when, instead of a drawn plan. */
  readonly plan?: readonly Kill[]
  /** Use the consumer with the broken inbox. */
  readonly breakInbox: boolean
}

export interface TrialResult extends CrashTrial {
  readonly plan: readonly Kill[]
  readonly faults: EffectFaults
  /** Where the files of a trial with faults are. */
  readonly folder: string | undefined
}

/** One life of the little system: three processes, some kills, and whether every sale has come to the book once and in order. */
export async function runTrial({ seed, victims, kills, breakInbox, ...given }: TrialOptions): Promise<TrialResult> {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-crash-'))
  const { random } = manualWorld({ seed })
  const plan = given.plan ?? crashPlan({ victims: victims.map((role) => ({ role, points: POINTS[role] ?? [] })), kills, random })
  const shop = openShop(folder)
  const book = openBook(folder)
  await shop.migrate(shopTables)
  await book.migrate(bookTables)
  try {
    const trial = await crashTrial({ roles: rolesOf(folder, breakInbox), kills: plan, isDone: () => isDone(shop, book) })
    const faults = checkEffects(await sentOf(shop), await effectsOf(book))
    const failed = !trial.done || countFaults(faults) > 0
    if (!failed) rmSync(folder, { recursive: true, force: true })
    return { ...trial, plan, faults, folder: failed ? folder : undefined }
  } finally {
    await Promise.all([shop.close(), book.close()])
  }
}

function rolesOf(folder: string, breakInbox: boolean): CrashRole[] {
  const program = (name: string) => join(import.meta.dirname, `${name}.ts`)
  return Object.keys(POINTS).map((name) => ({
    name,
    program: program(name),
    args: name === 'consumer' && breakInbox ? [folder, '--break-inbox'] : [folder],
  }))
}

/** Everything is sold, has an effect, and nothing waits. */
async function isDone(shop: Database, book: Database): Promise<boolean> {
  const sold = await sentOf(shop)
  if (sold.length < KEYS.length * SALES) return false
  const [row] = await book.read((tx) => tx.sql<{ count: number }>`select count(*) as count from (select distinct key, n from effects)`)
  return row?.count === sold.length && (await deadLetters(book).stats()).length === 0
}

/** The sales that the shop has counted: each was published, or the transaction is broken. */
async function sentOf(shop: Database): Promise<Numbered[]> {
  const rows = await shop.read((tx) => tx.sql<Numbered>`select key, n from sold order by key`)
  return rows.flatMap(({ key, n }) => Array.from({ length: n }, (_, index) => ({ key, n: index + 1 })))
}

function effectsOf(book: Database): Promise<Numbered[]> {
  return book.read((tx) => tx.sql<Numbered>`select key, n from effects order by position`)
}
