import { createHash } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import type { RouteConfig } from '../config.ts'
import { type Echo, echo, origin, start } from '../test/harness.ts'
import { networkOf } from './rate-limiting.ts'

type Key = Awaited<ReturnType<typeof issuer>>

/** An issuer of tokens, whose key set is served. */
async function issuer() {
  let fetches = 0
  let isDown = false
  const keys = new Map<string, { publicJwk: object; privateKey: CryptoKey }>()
  const server = await origin((_, response) => {
    fetches += 1
    response.statusCode = isDown ? 500 : 200
    response.end(JSON.stringify({ keys: [...keys.values()].map(({ publicJwk }) => publicJwk) }))
  })
  const setDown = (down: boolean) => {
    isDown = down
  }
  const rotate = async (kid: string) => {
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    keys.clear()
    keys.set(kid, { publicJwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' }, privateKey })
  }
  await rotate('one')
  async function sign(claims: Record<string, unknown> = {}, expires: string | number | null = '1h') {
    const [kid = '', key] = [...keys][0] ?? []
    const token = new SignJWT({ sub: 'u-1', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid })
      .setIssuedAt()
      .setAudience(String(claims.aud ?? 'shop'))
      .setIssuer(String(claims.iss ?? 'users'))
    if (expires !== null) token.setExpirationTime(expires)
    return token.sign(key?.privateKey as CryptoKey)
  }
  return { server, sign, rotate, fetches: () => fetches, setDown }
}

async function guarded(keys: Key, config: object = {}, route: Partial<RouteConfig> = {}) {
  const service = await echo()
  const jwt = { name: 'jwt' as const, config: { jwks: `${keys.server.url}/jwks.json`, audience: 'shop', issuer: 'users', ...config } }
  const routes = [
    { path: '/private', service: 'a', plugins: [jwt], ...route },
    { path: '/open', service: 'a' },
  ]
  const running = await start({ routes }, { a: [service.address], users: [keys.server.address] })
  const call = (token?: string, path = '/private') =>
    fetch(`${running.url}${path}`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })
  return { ...running, call }
}

const refusal = async (response: Response) => [
  response.status,
  ((await response.json()) as { code: string }).code,
  response.headers.get('www-authenticate'),
]

describe('jwt', () => {
  it('lets a valid token through, and tells the service who calls', async () => {
    const keys = await issuer()
    const { call } = await guarded(keys)
    const response = await call(await keys.sign({ scope: 'orders:read orders:write', sub: 'Jürgen %' }))
    expect(response.status).toBe(200)
    const { headers } = (await response.json()) as Echo
    expect(headers['x-auth-subject']).toBe('J%C3%BCrgen%20%25')
    expect(headers['x-auth-scopes']).toBe('orders:read orders:write')
    expect(JSON.parse(Buffer.from(headers['x-auth-claims'] ?? '', 'base64url').toString())).toMatchObject({ sub: 'Jürgen %', aud: 'shop' })
    expect(headers.authorization).toMatch(/^Bearer /)
  })

  it('tells a missing, an expired and a bad token apart', async () => {
    const keys = await issuer()
    const { call } = await guarded(keys)
    expect(await refusal(await call())).toEqual([401, 'ERR_JWT_MISSING', 'Bearer'])
    const expired = await keys.sign({}, Math.floor(Date.now() / 1_000) - 60)
    expect(await refusal(await call(expired))).toEqual([401, 'ERR_JWT_EXPIRED', expect.stringContaining('error="invalid_token"')])
    const good = await keys.sign()
    for (const bad of [
      'x.y.z',
      'nonsense',
      `${good.slice(0, -6)}AAAAAA`,
      await keys.sign({ aud: 'other' }),
      await keys.sign({ iss: 'other' }),
      await keys.sign({}, null),
      await keys.sign({ sub: 42 as unknown as string }),
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"root"}').toString('base64url')}.`,
    ]) {
      expect((await refusal(await call(bad))).slice(0, 2)).toEqual([401, 'ERR_JWT_INVALID'])
    }
  })

  it('never takes the public key for a shared secret', async () => {
    const keys = await issuer()
    const { call } = await guarded(keys)
    const jwks = await (await fetch(keys.server.url)).text()
    const forged = await new SignJWT({ sub: 'root' })
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .setAudience('shop')
      .setIssuer('users')
      .setExpirationTime('1h')
      .sign(Buffer.from(jwks))
    expect((await refusal(await call(forged))).slice(0, 2)).toEqual([401, 'ERR_JWT_INVALID'])
  })

  it('wants the scopes of the route', async () => {
    const keys = await issuer()
    const { call } = await guarded(keys, { scopes: ['a', 'b'] })
    expect(await refusal(await call(await keys.sign({ scope: 'a' })))).toEqual([
      403,
      'ERR_JWT_SCOPE',
      'Bearer error="insufficient_scope", scope="b"',
    ])
    expect((await call(await keys.sign({ scope: 'b c a' }))).status).toBe(200)
    expect((await call(await keys.sign({ scp: ['a', 'b'] }))).status).toBe(200)
  })

  it('fetches the keys once for many requests', async () => {
    const keys = await issuer()
    const { call } = await guarded(keys)
    const first = await keys.sign()
    const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await call(first)).status))
    expect([new Set(statuses), keys.fetches()]).toEqual([new Set([200]), 1])
  })

  it('finds the keys by discovery', async () => {
    const keys = await issuer()
    const { call } = await guarded(keys, { jwks: 'service://users/jwks.json' })
    expect((await call(await keys.sign())).status).toBe(200)
  })

  it('says 503 while the keys cannot be had, not 401', async () => {
    const keys = await issuer()
    keys.setDown(true)
    const { call } = await guarded(keys)
    const response = await call(await keys.sign())
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await response.json()).toMatchObject({ code: 'ERR_JWKS_UNAVAILABLE' })
    expect((await call()).status).toBe(401)
  })

  it('does not touch routes without it, and nobody can claim to be somebody there', async () => {
    const keys = await issuer()
    const { url } = await guarded(keys)
    const response = await fetch(`${url}/open`, { headers: { 'x-auth-subject': 'root', 'x-auth-scopes': 'all' } })
    expect(response.status).toBe(200)
    expect(Object.keys(((await response.json()) as Echo).headers).filter((name) => name.startsWith('x-auth'))).toEqual([])
  })

  it('tells of one caller where several plugins found one out: the last, with none of the scopes of those before', async () => {
    const keys = await issuer()
    const hash = `sha256:${createHash('sha256').update('key-of-partner').digest('hex')}`
    const partner = { name: 'key-auth' as const, config: { keys: [{ name: 'partner', hash, scopes: ['admin'] }] } }
    const jwt = { name: 'jwt' as const, config: { jwks: `${keys.server.url}/jwks.json` } }
    const { url } = await guarded(keys, {}, { plugins: [partner, jwt] })
    const headers = { authorization: `Bearer ${await keys.sign()}`, 'x-api-key': 'key-of-partner' }
    const { raw } = (await (await fetch(`${url}/private`, { headers })).json()) as Echo
    const told = raw.flatMap((name, index) => (/^x-auth-(?:subject|scopes)$/i.test(name) && index % 2 === 0 ? [name, raw[index + 1]] : []))
    expect(told).toEqual(['x-auth-subject', 'u-1'])
  })

  it('keeps to one identity when a client sends its own beside a token', async () => {
    const keys = await issuer()
    const { url } = await guarded(keys)
    const response = await fetch(`${url}/private`, { headers: { authorization: `Bearer ${await keys.sign()}`, 'x-auth-subject': 'root' } })
    expect(((await response.json()) as Echo).headers['x-auth-subject']).toBe('u-1')
  })
})

describe('rate limiting', () => {
  it('says how much is left, and 429 with Retry-After when nothing is', async () => {
    const service = await echo()
    const { url } = await start(
      { routes: [{ path: '/', service: 'a', plugins: [{ name: 'rate-limiting', config: { minute: 3, hour: 100 } }] }] },
      { a: [service.address] },
    )
    const first = await fetch(url)
    expect([first.status, first.headers.get('ratelimit-policy')]).toEqual([200, '"minute";q=3;w=60, "hour";q=100;w=3600'])
    expect(first.headers.get('ratelimit')).toBe('"minute";r=2;t=20, "hour";r=99;t=36')
    await fetch(url)
    await fetch(url)
    const refused = await fetch(url)
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(15)
    expect(refused.headers.get('ratelimit')).toMatch(/^"minute";r=0;t=(?:59|60)$/)
    expect(await refused.json()).toMatchObject({
      code: 'ERR_RATE_LIMITED',
      detail: expect.stringMatching(/^more than 3 requests per minute; try again in (?:19|20) s$/),
    })
  })

  it('counts each caller of a header, each subject and each route for itself', async () => {
    const keys = await issuer()
    const service = await echo()
    const jwt = { name: 'jwt' as const, config: { jwks: keys.server.url } }
    const routes: RouteConfig[] = [
      { path: '/key', service: 'a', plugins: [{ name: 'rate-limiting', config: { minute: 1, by: 'header', header: 'X-Api-Key' } }] },
      { path: '/subject', service: 'a', plugins: [jwt, { name: 'rate-limiting', config: { minute: 1, by: 'subject' } }] },
      { path: '/other', service: 'a', plugins: [{ name: 'rate-limiting', config: { minute: 1 } }] },
    ]
    const { url } = await start({ routes }, { a: [service.address] })
    const status = async (path: string, headers: Record<string, string>) => (await fetch(`${url}${path}`, { headers })).status
    expect([
      await status('/key', { 'x-api-key': '1' }),
      await status('/key', { 'x-api-key': '2' }),
      await status('/key', { 'x-api-key': '1' }),
    ]).toEqual([200, 200, 429])
    const [one, two] = [await keys.sign({ sub: 'one' }), await keys.sign({ sub: 'two' })]
    const as = (token: string) => status('/subject', { authorization: `Bearer ${token}` })
    expect([await as(one), await as(two), await as(one)]).toEqual([200, 200, 429])
    expect([await status('/other', {}), await status('/other', {})]).toEqual([200, 429])
  })

  it('counts the addresses of one customer of IPv6 together', () => {
    expect(networkOf('2001:db8:0:1:aaaa::1')).toBe('2001:db8:0:1::/64')
    expect(networkOf('2001:0DB8::1:2:3:4')).toBe('2001:db8:0:0::/64')
    expect(networkOf('::1')).toBe('0:0:0:0::/64')
    expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64')
    expect(networkOf('10.0.0.1')).toBe('10.0.0.1')
  })
})

describe('cors', () => {
  it('lets no OPTIONS through to a service that the route does not take', async () => {
    const keys = await issuer()
    const cors = { name: 'cors' as const, config: { origins: ['https://shop.example'] } }
    const { url } = await guarded(keys, {}, { methods: ['GET'], plugins: [cors] })
    const ask = (headers: Record<string, string>) => fetch(`${url}/private`, { method: 'OPTIONS', headers })
    expect((await ask({ origin: 'https://shop.example', 'access-control-request-method': 'GET' })).status).toBe(204)
    const refused = await ask({ origin: 'https://shop.example' })
    expect([refused.status, refused.headers.get('allow'), refused.headers.get('access-control-allow-origin')]).toEqual([
      405,
      'GET',
      'https://shop.example',
    ])
    expect((await fetch(`${url}/private`, { method: 'HEAD' })).status).toBe(200)
  })

  it('answers preflights before a plugin that authenticates, and marks problems too', async () => {
    const keys = await issuer()
    const { url } = await guarded(
      keys,
      {},
      {
        methods: ['POST'],
        plugins: [
          { name: 'cors', config: { origins: ['https://shop.example'], credentials: true, expose: ['ratelimit'] } },
          { name: 'jwt', config: { jwks: keys.server.url } },
        ],
      },
    )
    const preflight = await fetch(`${url}/private`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://shop.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    })
    expect(preflight.status).toBe(204)
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      'access-control-allow-origin': 'https://shop.example',
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': 'authorization',
    })
    const refused = await fetch(`${url}/private`, { method: 'POST', headers: { origin: 'https://shop.example' } })
    expect([refused.status, refused.headers.get('access-control-allow-origin'), refused.headers.get('vary')]).toEqual([
      401,
      'https://shop.example',
      'origin',
    ])
    const stranger = await fetch(`${url}/private`, { method: 'POST', headers: { origin: 'https://evil.example' } })
    expect(stranger.headers.get('access-control-allow-origin')).toBeNull()
  })
})
