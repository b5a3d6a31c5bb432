// A client as a shop's front end would be: one idempotency key per order, patience with a gateway that comes and goes.
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

export interface Answer {
  status: number
  body: Record<string, unknown>
  /** The trace this request began (W3C trace context): every span of its business transaction carries it. */
  traceId: string | undefined
}

export interface OrderItem {
  productId: string
  quantity: number
}

export interface Shopper {
  readonly customerId: string
  /** Places an order and keeps at it until it is accepted or refused for good. */
  placeOrder(key: string, items: readonly OrderItem[]): Promise<Answer>
  cancelOrder(orderId: string): Promise<Answer>
  get(path: string): Promise<Answer>
}

/** Signs in through the gateway. */
export async function signIn(gatewayUrl: string, email: string, password = 'banyan-shop'): Promise<Shopper> {
  const session = await persist(() => call(gatewayUrl, 'POST', '/api/sessions', { body: { email, password } }))
  if (session.status !== 201) throw new Error(`could not sign in as ${email}: ${session.status} ${JSON.stringify(session.body)}`)
  const token = String(session.body.token)
  return {
    customerId: String(session.body.userId),
    placeOrder: (key, items) => persist(() => call(gatewayUrl, 'POST', '/api/orders', { token, key, body: { items } })),
    cancelOrder: (orderId) => persist(() => call(gatewayUrl, 'DELETE', `/api/orders/${orderId}`, { token })),
    get: (path) => persist(() => call(gatewayUrl, 'GET', path, { token })),
  }
}

/** One request, and its answer whatever its status. */
export async function call(
  gatewayUrl: string,
  method: string,
  path: string,
  options: { token?: string; key?: string; body?: unknown } = {},
): Promise<Answer> {
  const { token, key, body } = options
  const traceId = randomBytes(16).toString('hex')
  const response = await fetch(new URL(path, gatewayUrl), {
    method,
    headers: {
      traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01`,
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(key ? { 'idempotency-key': key } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(10_000),
  })
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : {}, traceId }
}

const PATIENCE_MS = 60_000

/** Tries again while nobody answers or the answer is "not now" (408, 429, 5xx); every request here is safe to repeat. */
async function persist(attempt: () => Promise<Answer>): Promise<Answer> {
  const until = Date.now() + PATIENCE_MS
  for (let waitMs = 20; ; waitMs = Math.min(waitMs * 2, 500)) {
    const outcome = await attempt().catch((error: unknown) => error)
    if (isFinal(outcome)) return outcome
    if (Date.now() > until) throw new Error(`no final answer within ${PATIENCE_MS / 1000} s: ${describe(outcome)}`)
    await pause(waitMs * (0.5 + Math.random()))
  }
}

function isFinal(outcome: unknown): outcome is Answer {
  if (typeof outcome !== 'object' || outcome === null || !('status' in outcome)) return false
  return Number(outcome.status) < 500 && outcome.status !== 408 && outcome.status !== 429
}

function describe(outcome: unknown): string {
  return outcome instanceof Error ? outcome.message : JSON.stringify(outcome)
}
