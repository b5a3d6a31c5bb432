import { manualWorld, silentLogger } from '@banyan/core'
import { Cancellation, type RateLimitStore, type RateState, takeFrom } from '@banyan/resilience'
import { describe, expect, it } from 'vitest'
import { defineGateway } from '../config-file.ts'
import type { GatewayRequest } from '../exchange.ts'
import { headerOf } from '../headers.ts'
import { noBody } from '../request-body.ts'
import { type RateLimitingConfig, rateLimiting } from './rate-limiting.ts'

/** What a store has to do, in this process. */
function store(world: { monotonic(): number }, isDown = () => false): RateLimitStore & { keys: Set<string> } {
  const states = new Map<string, RateState>()
  return {
    get keys() {
      return new Set(states.keys())
    },
    async take(key, cost, quota) {
      if (isDown()) throw new Error('down')
      const { state, answer } = takeFrom(quota, states.get(key), cost, world.monotonic())
      states.set(key, state)
      return answer
    },
  }
}

function limited(
  config: RateLimitingConfig,
  { world = manualWorld(), rateLimits = undefined as RateLimitStore | undefined, routeKey = 'a' } = {},
) {
  const intercept = rateLimiting.create(config, {
    world,
    log: silentLogger,
    fetch: async () => ({ status: 500, text: '' }),
    route: 'a',
    routeKey,
    textOf: () => '',
    rateLimits,
  })
  const handle = intercept(async () => ({ status: 200, headers: [] }))
  return (more: Partial<GatewayRequest> = {}) =>
    handle({
      ...{ id: '1', method: 'GET', host: 'a', path: '/', query: '', params: {}, headers: [], clientIp: '10.0.0.1', subject: undefined },
      ...{ body: noBody, cancellation: new Cancellation(world), isUpgrade: false },
      ...more,
    })
}

const claims = (value: object) => ({ headers: ['x-auth-claims', Buffer.from(JSON.stringify(value)).toString('base64url')] })

describe('rate limiting', () => {
  it('remembers callers by short keys, however long what tells them apart is', async () => {
    const world = manualWorld()
    const rateLimits = store(world)
    const call = limited({ minute: 1, shared: true, by: 'header', header: 'x-api-key' }, { world, rateLimits })
    const long = 'x'.repeat(10_000)
    expect((await call({ headers: ['x-api-key', `${long}1`] })).status).toBe(200)
    expect((await call({ headers: ['x-api-key', `${long}2`] })).status).toBe(200)
    expect((await call({ headers: ['x-api-key', `${long}1`] })).status).toBe(429)
    for (const key of rateLimits.keys) expect(key.length).toBeLessThan(200)
  })

  it('allows no more than the limit in any period with a sliding window, where GCRA gives takes back one by one', async () => {
    const world = manualWorld()
    const [sliding, even] = [limited({ minute: 6, algorithm: 'sliding-window' }, { world }), limited({ minute: 6 }, { world })]
    await world.advance(59_000)
    for (let n = 0; n < 6; n += 1) expect([(await sliding()).status, (await even()).status]).toEqual([200, 200])
    await world.advance(11_000)
    expect((await even()).status).toBe(200)
    // A sixth of the next period is over, so a sixth of the six counts no more.
    expect([(await sliding()).status, (await sliding()).status]).toEqual([200, 429])
  })

  it('lets no more come at once than "burst"', async () => {
    const call = limited({ minute: 60, burst: 2 })
    expect([await call(), await call(), await call()].map(({ status }) => status)).toEqual([200, 200, 429])
  })

  it('counts by a claim of the token, and those without it by their addresses', async () => {
    const call = limited({ minute: 1, by: 'claim', claim: 'tenant' })
    const statuses = [
      claims({ tenant: 'a' }),
      claims({ tenant: 'b' }),
      claims({ tenant: 'a' }),
      claims({}),
      claims({}),
      claims({ tenant: 1 }),
      claims({ tenant: '1' }),
    ]
    const got: number[] = []
    for (const one of statuses) got.push((await call(one)).status)
    expect(got).toEqual([200, 200, 429, 200, 429, 200, 200])
  })

  it('counts together where it says so: for the same route, and for each window by itself', async () => {
    const world = manualWorld()
    const rateLimits = store(world)
    const shared = { minute: 3, hour: 100, shared: true }
    const [one, two, other] = [
      limited(shared, { world, rateLimits }),
      limited(shared, { world, rateLimits }),
      limited(shared, { world, rateLimits, routeKey: 'b' }),
    ]
    expect([await one(), await two(), await one(), await two()].map(({ status }) => status)).toEqual([200, 200, 200, 429])
    expect((await other()).status).toBe(200)
    expect(headerOf((await other()).headers, 'ratelimit')).toBe('"minute";r=1;t=40, "hour";r=98;t=72')
    expect(rateLimits.keys.size).toBe(4)
  })

  it.each([
    ['local', [200, 200, 429]],
    ['allow', [200, 200, 200]],
    ['refuse', [503, 503, 503]],
  ] as const)('while nobody can count together: %s', async (when_away, statuses) => {
    const world = manualWorld()
    const call = limited({ minute: 2, shared: true, when_away }, { world, rateLimits: store(world, () => true) })
    const answers = [await call(), await call(), await call()]
    expect(answers.map(({ status }) => status)).toEqual(statuses)
    if (when_away === 'refuse') expect(String(answers[0]?.body)).toMatch(/ERR_LIMITS_AWAY.*cannot be counted now/)
  })

  it('does not count together where there is no place for it', () => {
    expect(() => limited({ minute: 1, shared: true })).toThrow(/"shared: true", but there is no place .* redis: redis:\/\/127.0.0.1:6379/)
  })

  it.each([
    [{ minute: 1, by: 'claim' }, 'has "by: claim" without "claim"'],
    [{ minute: 1, claim: 'a' }, 'has "claim" without "by: claim"'],
    [{ minute: 1, when_away: 'allow' }, 'has "when_away" without "shared: true"'],
    [{ minute: 1, burst: 1, algorithm: 'sliding-window' }, 'has "burst" with "algorithm: sliding-window"'],
    [{ minute: 1, hour: 2, burst: 1 }, 'has "burst" with several windows'],
  ] as const)('refuses %j', (config, message) => {
    const routes = [{ path: '/', url: 'http://127.0.0.1:1', plugins: [{ name: 'rate-limiting' as const, config }] }]
    expect(() => defineGateway({ routes })).toThrow(message)
  })

  it('refuses an address that is no Redis', () => {
    expect(() => defineGateway({ redis: 'http://a', routes: [{ path: '/', url: 'http://127.0.0.1:1' }] })).toThrow(
      /wanted the address of a Redis/,
    )
  })
})
