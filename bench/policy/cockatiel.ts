import { importPeer } from '../peers.ts'
import { answer, CHEAP, DEAR, FAILING, fail, type Subject, type Subjects } from './subject.ts'

interface CockatielPolicy {
  execute(work: () => Promise<number>): Promise<number>
}

/** What is used of it. */
interface Cockatiel {
  readonly handleAll: unknown
  readonly ConsecutiveBreaker: new (failures: number) => unknown
  readonly SamplingBreaker: new (options: { threshold: number; duration: number; minimumRps: number }) => unknown
  readonly ExponentialBackoff: new () => unknown
  circuitBreaker(handled: unknown, options: { halfOpenAfter: number; breaker: unknown }): CockatielPolicy
  timeout(durationMs: number, strategy: 'aggressive'): CockatielPolicy
  retry(handled: unknown, options: { maxAttempts: number; backoff: unknown }): CockatielPolicy
  wrap(...policies: CockatielPolicy[]): CockatielPolicy
}

const load = () => importPeer<Cockatiel>('cockatiel')
const breakerOf = (peer: Cockatiel) =>
  peer.circuitBreaker(peer.handleAll, { halfOpenAfter: 30_000, breaker: new peer.ConsecutiveBreaker(5) })
const retryOf = (peer: Cockatiel) => peer.retry(peer.handleAll, { maxAttempts: 2, backoff: new peer.ExponentialBackoff() })
const calling = (policy: CockatielPolicy, calls: number) => ({ call: () => policy.execute(answer), calls })

async function failing(before: number): Promise<Subject> {
  const peer = await load()
  let policy = counting(peer)
  return {
    call: () => policy.execute(fail).catch(() => {}),
    calls: FAILING,
    async prepare() {
      policy = counting(peer)
      for (let i = 0; i < before; i += 1) await policy.execute(fail).catch(() => {})
    },
  }
}

/** Never so many a second: it counts and does not open. */
function counting(peer: Cockatiel): CockatielPolicy {
  const breaker = new peer.SamplingBreaker({ threshold: 0.99, duration: 600_000, minimumRps: 1_000_000_000 })
  return peer.circuitBreaker(peer.handleAll, { halfOpenAfter: 30_000, breaker })
}

async function open() {
  const peer = await load()
  const policy = peer.circuitBreaker(peer.handleAll, { halfOpenAfter: 600_000, breaker: new peer.ConsecutiveBreaker(1) })
  await policy.execute(fail).catch(() => {})
  return { call: () => policy.execute(answer).catch((error) => error), calls: DEAR }
}

export const cockatiel: Subjects = {
  breaker: async () => calling(breakerOf(await load()), CHEAP),
  timeout: async () => calling((await load()).timeout(400, 'aggressive'), DEAR),
  retry: async () => calling(retryOf(await load()), DEAR),
  async three() {
    const peer = await load()
    return calling(peer.wrap(retryOf(peer), breakerOf(peer), peer.timeout(400, 'aggressive')), DEAR)
  },
  open,
  'failing, 0 in the window': () => failing(0),
  'failing, 50,000 in the window': () => failing(50_000),
}
