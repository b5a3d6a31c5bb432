import { type CircuitBreaker, circuitBreaker, exponential, type Policy, policy, retry, timeout } from '@banyan/resilience'
import { answer, CHEAP, FAILING, fail, type Subject, type Subjects } from './subject.ts'

const plainly = (stock: Policy) => ({ call: () => stock.run(answer), calls: CHEAP })

/** A breaker that counts failures and never opens: a window larger than what is measured, and as many calls needed. */
const counting = () => circuitBreaker({ window: { calls: 10_000_000 }, minimumCalls: 10_000_000 })
const countingByTime = () => circuitBreaker({ window: { timeMs: 600_000 }, minimumCalls: 10_000_000 })

async function failing(breaker: CircuitBreaker, before: number): Promise<Subject> {
  const stock = policy('stock', breaker)
  return {
    call: () => stock.run(fail).catch(() => {}),
    calls: FAILING,
    async prepare() {
      breaker.reset()
      for (let i = 0; i < before; i += 1) await stock.outcome(fail)
    },
  }
}

async function openOutcome() {
  const breaker = circuitBreaker({ failures: 1, coolDownMs: 600_000 })
  const stock = policy('stock', breaker)
  await stock.outcome(fail)
  return { call: () => stock.outcome(answer), calls: CHEAP }
}

const steady = () => retry({ attempts: 3, backoff: exponential({ baseMs: 50, capMs: 1_000 }) })

/** The least that any breaker can do: look at how each call ends. */
async function byHand() {
  let failures = 0
  const ok = (value: number): number => {
    failures = 0
    return value
  }
  const bad = (error: unknown): never => {
    failures += 1
    throw error
  }
  return { call: () => (failures < 5 ? answer().then(ok, bad) : answer()), calls: CHEAP }
}

export const banyan: Subjects = {
  'by hand': byHand,
  breaker: async () => plainly(policy('stock', circuitBreaker())),
  'breaker, count window': async () => plainly(policy('stock', circuitBreaker({ window: { calls: 100 } }))),
  'breaker, time window': async () => plainly(policy('stock', circuitBreaker({ window: { timeMs: 10_000 } }))),
  timeout: async () => plainly(policy('stock', timeout(400))),
  retry: async () => plainly(policy('stock', steady())),
  three: async () => plainly(policy('stock', steady(), circuitBreaker(), timeout(400))),
  open: openOutcome,
  'failing, 0 in the window': () => failing(counting(), 0),
  'failing, 50,000 in the window': () => failing(counting(), 50_000),
  'failing, 0 in the time window': () => failing(countingByTime(), 0),
  'failing, 50,000 in the time window': () => failing(countingByTime(), 50_000),
}
