import { circuitBreaker, exponential, policy, retry, retryBudget, timeout } from '@banyan/resilience'

/** The payment provider, as payments needs it. Both calls may be repeated: the provider keeps what it did by key. */
export interface Psp {
  /** Whether the provider took the money. */
  charge(key: string, amountCents: number): Promise<boolean>
  /** Gives back whatever was taken under this key; a charge that comes later is declined. */
  refund(key: string): Promise<void>
}

/** A client of the provider behind timeouts, retries and a breaker. */
export function pspClient(url: string): Psp {
  const calls = policy(
    'psp',
    timeout(8_000),
    retry({
      attempts: 4,
      backoff: exponential({ baseMs: 50, capMs: 1_000, jitter: 'full' }),
      budget: retryBudget({ ratio: 0.2, minPerSecond: 10 }),
    }),
    circuitBreaker({ failures: 10, coolDownMs: 2_000 }),
    timeout(2_000),
  )
  const post = (path: string, key: string, body: object) =>
    calls.run(({ signal }) => send(new URL(path, url), key, body, signal), { idempotent: true })
  return {
    charge: async (key, amountCents) => (await post('/charges', key, { amountCents })).status === 'accepted',
    refund: async (key) => void (await post('/refunds', key, {})),
  }
}

async function send(url: URL, key: string, body: object, signal: AbortSignal): Promise<{ status?: unknown }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify(body),
    signal,
  })
  if (!response.ok) throw new Error(`the payment provider answered ${response.status} to ${url.pathname}`)
  return (await response.json()) as { status?: unknown }
}
