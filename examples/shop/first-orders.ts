import { setTimeout as pause } from 'node:timers/promises'
import type { RunningSystem, Span } from '@banyan/cli'
import { type Answer, type OrderItem, type Shopper, signIn } from './load/shopper.ts'

const ORDERS: readonly { title: string; items: OrderItem[] }[] = [
  { title: 'an order that succeeds', items: [{ productId: 'fig-tree', quantity: 2 }] },
  { title: 'an order whose payment is declined', items: [{ productId: 'unlucky-clover', quantity: 1 }] },
  { title: 'an order that is out of stock', items: [{ productId: 'blue-rose', quantity: 1 }] },
]

/** Places one order of each kind as a client would, prints the way of each, and what to try next. */
export async function firstOrders(running: RunningSystem): Promise<void> {
  const shopper = await signIn(running.gatewayUrl, 'ada@example.com')
  for (const [i, { title, items }] of ORDERS.entries()) {
    const placed = await shopper.placeOrder(`first-${Date.now()}-${i}`, items)
    const order = await finalState(shopper, placed)
    printWay(title, order, await wayOf(running, placed.traceId, order.body.status === 'confirmed' ? 'notification.sent' : 'order.rejected'))
  }
  printNext(running)
}

async function finalState(shopper: Shopper, placed: Answer): Promise<Answer> {
  if (placed.status !== 202) throw new Error(`the order was not accepted: ${placed.status} ${JSON.stringify(placed.body)}`)
  for (let tries = 0; tries < 200; tries += 1) {
    const order = await shopper.get(`/api/orders/${placed.body.orderId}`)
    if (order.body.status !== 'pending') return order
    await pause(25)
  }
  throw new Error(`order ${placed.body.orderId} is still pending after 5 s`)
}

/** Processes send their spans twice a second: the way is whole when nothing new has come for longer than that. */
const QUIET_MS = 1_200

/** The spans of a trace in order of time, once the last one of the business transaction has come in and all is quiet. */
async function wayOf(running: RunningSystem, traceId: string | undefined, last: string): Promise<readonly Span[]> {
  if (!traceId) return []
  let spans = running.traces.spans(traceId)
  for (let quietMs = 0, waitedMs = 0; waitedMs < 8_000; waitedMs += 100) {
    await pause(100)
    const now = running.traces.spans(traceId)
    quietMs = now.length > spans.length ? 0 : quietMs + 100
    spans = now
    if (quietMs >= QUIET_MS && spans.some(({ name }) => name === `consume ${last}`)) break
  }
  return spans.filter(({ name }) => STEP.test(name))
}

/** Requests as their servers see them, saga steps, events handled; the clients' and publishers' sides are left out. */
const STEP = /^(POST|GET|DELETE) \/|^\w+ (POST|GET|DELETE) \/|^saga |^consume /

function printWay(title: string, order: Answer, spans: readonly Span[]): void {
  const reason = order.body.reason ? `, ${order.body.reason}` : ''
  console.log(`\n${title}: ${order.body.status}${reason}   order ${order.body.orderId}`)
  console.log(`  trace ${spans[0]?.traceId ?? 'none came in'}`)
  const startMs = Math.min(...spans.map((span) => span.startMs))
  for (const span of spans) {
    const at = `+${(span.startMs - startMs).toFixed(0)}`.padStart(6)
    console.log(`  ${at} ms  ${(span.service ?? '').padEnd(14)} ${span.name.padEnd(44)} ${span.durationMs.toFixed(1).padStart(8)} ms`)
  }
}

function printNext({ gatewayUrl, gatewayAdminUrl, registryUrl }: RunningSystem): void {
  console.log(`
The shop is open. Try:
  TOKEN=$(curl -s ${gatewayUrl}/api/sessions -H 'content-type: application/json' -d '{"email":"ada@example.com","password":"banyan-shop"}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')
  curl -s ${gatewayUrl}/api/products
  curl -s ${gatewayUrl}/api/orders -H "authorization: Bearer $TOKEN" -H 'idempotency-key: my-first' -H 'content-type: application/json' -d '{"items":[{"productId":"seed-mix","quantity":2}]}'
  curl -s ${gatewayUrl}/api/order-stats -H "authorization: Bearer $TOKEN"
  curl -s ${gatewayUrl}/legacy/orders
  curl -s ${registryUrl}/v1/catalog/services
  curl -s ${gatewayAdminUrl}/metrics
Ctrl-C stops every process.`)
}
