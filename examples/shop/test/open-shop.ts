import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type RunningSystem, startSystem } from '@banyan/cli'
import { checkInvariants, type Report } from '../load/invariants.ts'
import { type Answer, type Shopper, signIn } from '../load/shopper.ts'
import type { Checkout } from '../orders/contract.ts'
import { shop } from '../system.ts'

export interface OpenShop {
  readonly running: RunningSystem
  readonly shopper: Shopper
  /** Where the services' databases are. */
  readonly dataDir: string
  /** Places an order and waits until it is no longer pending. */
  order(key: string, productId: string, quantity?: number): Promise<Answer>
  /** The answer of `ask` as soon as it satisfies `isDone`; fails after ten seconds with the last one. */
  until(ask: () => Promise<Answer>, isDone: (answer: Answer) => boolean): Promise<Answer>
  books(): Promise<Report>
  close(): Promise<void>
}

/** A shop of one's own: free ports, a temporary folder. */
export async function openShop(options: {
  processes: 'one' | 'each'
  checkout: Checkout
  env?: Record<string, string>
  /** A PostgreSQL server for the services' databases. Default: SQLite. */
  databaseUrl?: string
}): Promise<OpenShop> {
  const { databaseUrl } = options
  const dataDir = mkdtempSync(join(tmpdir(), 'banyan-shop-'))
  const running = await startSystem(shop, {
    baseUrl: new URL('../system.ts', import.meta.url).href,
    dataDir,
    gatewayPort: 0,
    log: 'silent',
    processes: options.processes,
    ...(databaseUrl && { databaseUrl }),
    env: { SHOP_CHECKOUT: options.checkout, ORDERS_PER_MINUTE: '1000000', ...options.env },
  })
  const shopper = await signIn(running.gatewayUrl, 'ada@example.com')
  const until: OpenShop['until'] = async (ask, isDone) => {
    for (const deadline = Date.now() + 10_000; ; await pause(25)) {
      const answer = await ask()
      if (isDone(answer)) return answer
      if (Date.now() > deadline) throw new Error(`still ${answer.status} ${JSON.stringify(answer.body)} after ten seconds`)
    }
  }
  return {
    running,
    shopper,
    dataDir,
    until,
    async order(key, productId, quantity = 1) {
      const placed = await shopper.placeOrder(key, [{ productId, quantity }])
      if (placed.status !== 202) return placed
      return until(
        () => shopper.get(`/api/orders/${placed.body.orderId}`),
        ({ body }) => body.status !== 'pending',
      )
    },
    books: () => checkInvariants({ dataDir, databaseUrl }, []),
    async close() {
      await running.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
