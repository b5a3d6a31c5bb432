import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type RunningSystem, startSystem } from '@banyan/cli'
import { freshDatabases } from '../database.ts'
import { shop } from '../system.ts'
import { checkInvariants, countUnsettled } from './invariants.ts'
import { type Phase, type PhaseCount, type SteadyLoad, steadyLoad } from './steady-load.ts'

export interface OutageOptions {
  /** How long the registry is dead: milliseconds, or until so many requests were sent meanwhile. */
  readonly outage: Lasting
  /** How long the load runs before, and again after. */
  readonly around: Lasting
  readonly ordersPerSecond: number
  readonly readsPerSecond: number
  readonly databaseUrl: string | undefined
  readonly print: (line: string) => void
}

export type Lasting = { readonly ms: number } | { readonly requests: number }

export interface OutageResult {
  readonly counts: Readonly<Record<Phase, PhaseCount>>
  /** The first few, in words. */
  readonly failures: readonly string[]
  readonly outageMs: number
  /** Ids of instances before, and after the registry's return before anybody can have told it again. */
  readonly known: { readonly before: readonly string[]; readonly after: readonly string[] }
  /** The registry's index before and after: it must not go back. */
  readonly index: { readonly before: number; readonly after: number }
  /** Rules of the shop that did not hold when all was quiet. */
  readonly broken: readonly string[]
}

/** Kills the registry of a shop under a steady load with kill -9, leaves it down for a while, brings it back, and counts what clients saw. */
export async function registryOutage(options: OutageOptions): Promise<OutageResult> {
  const { ordersPerSecond, readsPerSecond, print } = options
  const dataDir = mkdtempSync(join(tmpdir(), 'banyan-outage-'))
  const databaseUrl = freshDatabases(options.databaseUrl)
  const running = await startSystem(shop, {
    baseUrl: new URL('../system.ts', import.meta.url).href,
    dataDir,
    gatewayPort: 0,
    log: 'silent',
    env: { SHOP_CHECKOUT: 'orchestration', ORDERS_PER_MINUTE: '1000000' },
    ...(databaseUrl && { databaseUrl }),
  })
  try {
    const load = await steadyLoad({ gatewayUrl: running.gatewayUrl, ordersPerSecond, readsPerSecond })
    await lasting(options.around, load)
    const before = await registryState(running)
    load.enter('during')
    const killed = performance.now()
    const bringBack = await running.takeDown('registry')
    print('  kill -9 registry')
    await lasting(options.outage, load)
    const outageMs = performance.now() - killed
    await bringBack()
    const after = await registryState(running)
    load.enter('after')
    print(`  the registry is back after ${Math.round(outageMs)} ms, with ${after.ids.length} instances`)
    await lasting(options.around, load)
    const { accepted, counts, failures } = await load.stop()
    while ((await countUnsettled({ dataDir, databaseUrl })) > 0) await pause(100)
    const { broken } = await checkInvariants({ dataDir, databaseUrl }, accepted)
    return {
      counts,
      failures,
      outageMs,
      known: { before: before.ids, after: after.ids },
      index: { before: before.index, after: after.index },
      broken: broken.map(({ rule, orders }) => `${rule}: ${orders.slice(0, 5).join(', ')}`),
    }
  } finally {
    await running.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** Whether nothing was seen of the outage: no failed request in any phase, requests in each, and the registry as it was. */
export function isUnnoticed({ counts, known, index, broken }: OutageResult): boolean {
  const phases = Object.values(counts)
  const steady = phases.every(({ requests, failed }) => failed === 0 && requests > 0)
  return (
    steady && known.before.join() === known.after.join() && known.before.length > 0 && index.after >= index.before && broken.length === 0
  )
}

async function lasting(time: Lasting, load: SteadyLoad): Promise<void> {
  if ('ms' in time) return pause(time.ms)
  while (load.sent() < time.requests) await pause(10)
}

async function registryState({ registryUrl }: RunningSystem): Promise<{ ids: readonly string[]; index: number }> {
  const [services, catalog] = await Promise.all([fetch(`${registryUrl}/v1/agent/services`), fetch(`${registryUrl}/v1/catalog/services`)])
  await catalog.text()
  return {
    ids: Object.keys((await services.json()) as Record<string, unknown>).sort(), // Consul's answer: instances by id
    index: Number(catalog.headers.get('x-consul-index')),
  }
}
