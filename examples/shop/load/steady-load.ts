import { setTimeout as pause } from 'node:timers/promises'
import { type Answer, call } from './shopper.ts'

export interface SteadyLoadOptions {
  readonly gatewayUrl: string
  readonly ordersPerSecond: number
  readonly readsPerSecond: number
}

export type Phase = 'before' | 'during' | 'after'

export interface PhaseCount {
  requests: number
  failed: number
}

export interface SteadyLoad {
  /** Requests sent from now on are of this phase. */
  enter(phase: Phase): void
  /** How many requests of this phase were sent. */
  sent(): number
  /** Ends it; resolves when everything sent has been answered. */
  stop(): Promise<SteadyResult>
}

export interface SteadyResult {
  readonly counts: Readonly<Record<Phase, PhaseCount>>
  readonly failures: readonly string[]
  readonly accepted: readonly string[]
}

const SHOWN = 10
/** A machine that is slow for other reasons is not sent more than it answers. */
const MOST_OPEN = 32
const PRODUCTS = ['fig-tree', 'watering-can', 'secateurs', 'seed-mix']

/**
 * Orders and reads at a steady pace and at most 32 at a time, each tried once: a client that tries again would hide what is looked for. A request has failed when
 * there is no answer or one that a client would not expect.
 */
export async function steadyLoad(options: SteadyLoadOptions): Promise<SteadyLoad> {
  const { gatewayUrl, ordersPerSecond, readsPerSecond } = options
  const token = await signIn(gatewayUrl)
  const counts = { before: none(), during: none(), after: none() }
  const failures: string[] = []
  const accepted: string[] = []
  const open = new Set<Promise<void>>()
  const run = `${Date.now()}`
  let phase: Phase = 'before'
  let stopped = false

  async function once(what: string, wanted: number, request: () => Promise<Answer>): Promise<Answer | undefined> {
    const sentIn = phase
    counts[sentIn].requests += 1
    const outcome = await request().catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))
    if (!(outcome instanceof Error) && outcome.status === wanted) return outcome
    counts[sentIn].failed += 1
    const said = outcome instanceof Error ? outcome.message : `${outcome.status} ${JSON.stringify(outcome.body)}`
    if (failures.length < SHOWN) failures.push(`${what}, sent ${sentIn} the outage: ${said}`)
    return undefined
  }
  async function order(i: number): Promise<void> {
    const items = [{ productId: PRODUCTS[i % PRODUCTS.length], quantity: 1 }]
    const placed = await once('an order', 202, () =>
      call(gatewayUrl, 'POST', '/api/orders', { token, key: `${run}-${i}`, body: { items } }),
    )
    if (placed) accepted.push(String(placed.body.orderId))
  }
  async function read(i: number): Promise<void> {
    const orderId = accepted.at(-1)
    const path = i % 2 === 0 || !orderId ? `/api/stock/${PRODUCTS[i % PRODUCTS.length]}` : `/api/orders/${orderId}`
    await once(`GET ${path}`, 200, () => call(gatewayUrl, 'GET', path, { token }))
  }
  const paced = async (perSecond: number, one: (i: number) => Promise<void>) => {
    const started = performance.now()
    for (let i = 0; !stopped; i += 1) {
      await pause(Math.max(0, (i / perSecond) * 1_000 - (performance.now() - started)))
      if (open.size >= MOST_OPEN) await Promise.race(open)
      const sent = one(i).finally(() => open.delete(sent))
      open.add(sent)
    }
  }
  const pacing = [paced(ordersPerSecond, order), paced(readsPerSecond, read)]
  return {
    enter: (next) => {
      phase = next
    },
    sent: () => counts[phase].requests,
    async stop() {
      stopped = true
      await Promise.all(pacing)
      await Promise.all(open)
      return { counts, failures, accepted }
    },
  }
}

async function signIn(gatewayUrl: string): Promise<string> {
  const session = await call(gatewayUrl, 'POST', '/api/sessions', { body: { email: 'ada@example.com', password: 'banyan-shop' } })
  if (session.status !== 201) throw new Error(`could not sign in: ${session.status} ${JSON.stringify(session.body)}`)
  return String(session.body.token)
}

function none(): PhaseCount {
  return { requests: 0, failed: 0 }
}
