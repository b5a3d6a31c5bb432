import { manualWorld, silentLogger } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, test, vi } from 'vitest'
import type { GatewayRequest, GatewayResponse } from '../exchange.ts'
import { headerOf } from '../headers.ts'
import { noBody } from '../request-body.ts'
import { jwt } from './jwt.ts'

/** An issuer whose keys can be changed, and a route behind the plugin. */
async function guardedRoute({ hasIds = true } = {}) {
  const world = manualWorld()
  const pairs = { first: await generateKeyPair('ES256'), second: await generateKeyPair('ES256'), other: await generateKeyPair('ES256') }
  const idOf = (kid: string) => (hasIds ? { kid } : {})
  let served: (keyof typeof pairs)[] = ['first']
  const fetch = vi.fn(async () => {
    const keys = await Promise.all(served.map(async (kid) => ({ ...(await exportJWK(pairs[kid].publicKey)), ...idOf(kid), alg: 'ES256' })))
    return { status: 200, text: JSON.stringify({ keys }) }
  })
  const config = { jwks: 'https://users.example/', scopes: ['orders:read'], cache_s: 60 }
  const intercept = jwt.create(config, {
    world,
    log: silentLogger,
    fetch,
    route: 'orders',
    routeKey: '',
    textOf: () => '',
    rateLimits: undefined,
  })
  const behind = vi.fn(async ({ subject }: GatewayRequest): Promise<GatewayResponse> => ({ status: 200, headers: [], body: subject }))
  const handle = intercept(behind)
  const sign = (kid: keyof typeof pairs, lifeMs: number, scope = 'orders:read') =>
    new SignJWT({ sub: 'eva', scope })
      .setProtectedHeader({ alg: 'ES256', ...idOf(kid) })
      .setExpirationTime(Math.floor((world.now() + lifeMs) / 1_000))
      .sign(pairs[kid].privateKey)
  const statusOf = async (token: string) => {
    const headers = ['authorization', `Bearer ${token}`]
    const base = { id: '1', method: 'GET', host: 'a', path: '/', query: '', params: {}, clientIp: '127.0.0.1', subject: undefined }
    const answer = await handle({ ...base, headers, body: noBody, cancellation: new Cancellation(world), isUpgrade: false })
    return answer.status
  }
  const serve = (...kids: (keyof typeof pairs)[]) => {
    served = kids
  }
  return { world, fetch, behind, sign, statusOf, serve }
}

test('a token that was accepted is accepted again, with what it says, until it expires', async () => {
  const { world, behind, sign, statusOf } = await guardedRoute()
  // The first one has the keys fetched.
  await statusOf(await sign('first', 60_000))
  behind.mockClear()
  const verify = vi.spyOn(crypto.subtle, 'verify')
  const token = await sign('first', 120_000)
  for (let n = 0; n < 3; n += 1) expect(await statusOf(token)).toBe(200)
  expect(verify).toHaveBeenCalledTimes(1)
  verify.mockRestore()
  const told = behind.mock.calls.map(([{ subject, headers }]) => [
    subject,
    headerOf(headers, 'x-auth-subject'),
    headerOf(headers, 'x-auth-scopes'),
  ])
  expect(told).toEqual(Array(3).fill(['eva', 'eva', 'orders:read']))
  // Clocks may differ by five seconds.
  await world.advance(124_000)
  expect(await statusOf(token)).toBe(200)
  await world.advance(1_000)
  expect(await statusOf(token)).toBe(401)
})

test('a token whose key is taken away is not accepted any more once the keys were looked at', async () => {
  const { world, fetch, sign, statusOf, serve } = await guardedRoute()
  const token = await sign('first', 3_600_000)
  expect(await statusOf(token)).toBe(200)
  serve('second')
  await world.advance(61_000)
  // This one makes it look.
  expect(await statusOf(token)).toBe(200)
  await vi.waitFor(() => expect(fetch).toHaveBeenCalledTimes(2))
  await world.advance(0)
  expect(await statusOf(token)).toBe(401)
  expect(await statusOf(await sign('second', 60_000))).toBe(200)
})

test('a token without a key id is good by any of the keys that fit', async () => {
  const { sign, statusOf, serve } = await guardedRoute({ hasIds: false })
  serve('first', 'second')
  expect([await statusOf(await sign('first', 60_000)), await statusOf(await sign('second', 60_000))]).toEqual([200, 200])
  expect([await statusOf(await sign('other', 60_000)), await statusOf(await sign('second', -60_000))]).toEqual([401, 401])
})

test('what a token lacks it lacks the second time too', async () => {
  const { sign, statusOf, behind } = await guardedRoute()
  const token = await sign('first', 60_000, 'orders:write')
  expect([await statusOf(token), await statusOf(token)]).toEqual([403, 403])
  expect(behind).not.toHaveBeenCalled()
})
