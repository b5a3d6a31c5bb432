import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type RunningSystem, startSystem } from '@banyan/cli'
import { freshDatabases } from '../database.ts'
import type { Checkout } from '../orders/contract.ts'
import { shop } from '../system.ts'
import type { BookPlace } from './books.ts'
import { chaosPlan, type Kill } from './chaos-plan.ts'
import { checkInvariants, countUnsettled, type Report } from './invariants.ts'
import { type Load, placeOrders } from './place-orders.ts'

export interface TrialOptions {
  readonly checkout: Checkout
  readonly orders: number
  readonly kills: number
  readonly seed: number
  readonly oneProcess: boolean
  readonly keep: boolean
  /** A PostgreSQL server for the services' databases; `undefined`: SQLite. */
  readonly databaseUrl: string | undefined
  readonly print: (line: string) => void
}

export interface TrialResult extends Report {
  readonly load: Load
  readonly kills: number
  readonly seconds: number
  readonly settledAfterMs: number
}

const SETTLE_MS = 60_000

/** Starts a shop of its own, places the load, kills by the plan, waits until all is quiet, checks the books. */
export async function trial(options: TrialOptions): Promise<TrialResult> {
  const dataDir = mkdtempSync(join(tmpdir(), 'banyan-shop-'))
  const databaseUrl = freshDatabases(options.databaseUrl)
  try {
    return await trialIn({ dataDir, databaseUrl }, options)
  } finally {
    if (options.keep)
      options.print(
        `the databases are in ${dataDir}${databaseUrl ? `, and on the server by the names "${new URL(databaseUrl).pathname.slice(1)}_..."` : ''}`,
      )
    else rmSync(dataDir, { recursive: true, force: true })
  }
}

async function trialIn(place: BookPlace, options: TrialOptions): Promise<TrialResult> {
  const { dataDir, databaseUrl } = place
  const started = performance.now()
  const running = await startSystem(shop, {
    baseUrl: new URL('../system.ts', import.meta.url).href,
    dataDir,
    gatewayPort: 0,
    log: 'silent',
    env: { SHOP_CHECKOUT: options.checkout, ORDERS_PER_MINUTE: '1000000' },
    ...(databaseUrl && { databaseUrl }),
    ...(options.oneProcess ? { processes: 'one' as const } : {}),
  })
  try {
    const killer = startKiller(running, options)
    const load = await placeOrders({
      gatewayUrl: running.gatewayUrl,
      orders: options.orders,
      seed: options.seed,
      perSecond: options.kills > 0 ? Math.max(20, options.orders / Math.max(10, options.kills)) : 1_000,
      onSent: killer.onSent,
    })
    const kills = await killer.finish()
    const settledAfterMs = await settle(place)
    const report = await checkInvariants(place, load.accepted)
    return { ...report, load, kills, seconds: (performance.now() - started) / 1000, settledAfterMs }
  } finally {
    await running.stop()
  }
}

function startKiller(running: RunningSystem, options: TrialOptions) {
  const plan = [...chaosPlan(options)].sort((a, b) => a.afterOrders - b.afterOrders)
  const kills: Promise<void>[] = []
  const onSent = (sent: number) => {
    for (let next = plan[0]; next && next.afterOrders < sent; next = plan[0]) {
      plan.shift()
      kills.push(killOne(running, next, options))
    }
  }
  return {
    onSent,
    async finish() {
      onSent(Number.POSITIVE_INFINITY)
      await Promise.all(kills)
      await running.waitReady()
      return kills.length
    },
  }
}

async function killOne(running: RunningSystem, kill: Kill, { print, oneProcess }: TrialOptions): Promise<void> {
  await pause(kill.delayMs)
  const own = running.processes().find(({ name }) => name !== 'registry' && !(name in shop.programs))
  const target = oneProcess ? (own?.name ?? kill.process) : kill.process
  print(`  kill -9 ${target}${kill.role === 'relay' ? ' (it owns a relay)' : ''} after ${kill.afterOrders} orders`)
  await running.kill(target, 'SIGKILL')
}

/** Waits until nothing is left to do, or long enough to say that something is stuck; then for one more quiet moment. */
async function settle(books: BookPlace): Promise<number> {
  const started = performance.now()
  while ((await countUnsettled(books)) > 0 && performance.now() - started < SETTLE_MS) await pause(200)
  const settledAfterMs = performance.now() - started
  // What comes twice comes late: give it the time to.
  await pause(1_000)
  return settledAfterMs
}
