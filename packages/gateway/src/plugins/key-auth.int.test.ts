import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { defineGateway } from '../config-file.ts'
import { type Echo, echo, rawRequest, start, statusOf } from '../test/harness.ts'
import type { KeyAuthConfig } from './key-auth.ts'

const hash = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`
const keys = [
  { name: 'Pärtner', hash: hash('key-of-partner'), scopes: ['orders:read'] },
  { name: 'shop', hash: hash('key-of-shop') },
]

async function guarded(config: Partial<KeyAuthConfig> = {}) {
  const service = await echo()
  const plugins = [{ name: 'key-auth' as const, config: { keys, ...config } }]
  const { url, port } = await start({ routes: [{ path: '/', service: 'a', plugins }] }, { a: [service.address] })
  const call = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${url}${path}`, { headers })
    // The echo, or a problem.
    return { status: response.status, body: (await response.json()) as Echo & { code?: string } }
  }
  return { call, port }
}

describe('key-auth', () => {
  it('lets a known key through, tells the service whose it is, and keeps the key to itself', async () => {
    const { call } = await guarded()
    const { status, body } = await call('/x?a=1&a=2', { 'x-api-key': 'key-of-partner', 'x-auth-subject': 'forged', x_auth_scopes: 'all' })
    expect(status).toBe(200)
    expect(body.headers).toMatchObject({ 'x-auth-subject': 'P%C3%A4rtner', 'x-auth-scopes': 'orders:read' })
    expect(JSON.stringify(body)).not.toMatch(/key-of|forged/)
    expect((await call('/', { 'X-API-KEY': 'key-of-shop' })).body.headers['x-auth-scopes']).toBeUndefined()
  })

  it.each(['x-auth-token', 'X_Auth_Key', 'Connection', 'x-forwarded-key', 'x-request-id', 'host'])(
    'is refused with a header that no client can send it in: %s',
    (header) => {
      const plugins = [{ name: 'key-auth' as const, config: { keys, header } }]
      expect(() => defineGateway({ routes: [{ path: '/', service: 'a', plugins }] })).toThrow(
        `"header" of the config of plugin "key-auth" of route 1 is "${header}", wanted the name of a header that comes through`,
      )
    },
  )

  it('tells a missing, an unknown and a doubled key', async () => {
    const { call, port } = await guarded()
    expect(await call('/')).toMatchObject({ status: 401, body: { code: 'ERR_KEY_MISSING' } })
    for (const key of ['', 'key-of-partner ', 'Key-Of-Partner', hash('key-of-partner'), 'x'.repeat(8_000)]) {
      const { status, body } = await call('/', { 'x-api-key': key })
      // Blanks around a value are none of it.
      if (key === 'key-of-partner ') expect(status).toBe(200)
      else expect([status, body.code]).toEqual([401, 'ERR_KEY_INVALID'])
    }
    const twice = 'X-Api-Key: key-of-shop\r\nX-Api-Key: key-of-partner\r\n'
    expect(statusOf(await rawRequest(port, `GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${twice}\r\n`))).toBe(401)
    // A query has keys only where the file says so.
    expect((await call('/?api_key=key-of-shop')).status).toBe(401)
  })

  it('takes the key out of the query, and leaves the rest of it byte for byte', async () => {
    const { call } = await guarded({ query: 'api_key' })
    const { status, body } = await call('/x?b=%2f&api_key=key-of-shop&a=1+2&a=')
    expect([status, body.url]).toEqual([200, '/x?b=%2f&a=1+2&a='])
    expect((await call('/x?%61pi_key=key-of-shop')).body.url).toBe('/x')
    expect((await call('/x?api_key=key-of-shop', { 'x-api-key': 'key-of-shop' })).status).toBe(401)
    expect((await call('/x?api_key=key-of-shop&api_key=key-of-shop')).status).toBe(401)
  })

  it('wants scopes, and hands the key on where it says so', async () => {
    const { call } = await guarded({ scopes: ['orders:read'], pass_on: true })
    expect((await call('/', { 'x-api-key': 'key-of-partner' })).body.headers['x-api-key']).toBe('key-of-partner')
    expect(await call('/', { 'x-api-key': 'key-of-shop' })).toMatchObject({ status: 403, body: { code: 'ERR_KEY_SCOPE' } })
  })

  it('has limits counted by whose key it is', async () => {
    const service = await echo()
    const plugins = [
      { name: 'key-auth' as const, config: { keys } },
      { name: 'rate-limiting' as const, config: { minute: 1, by: 'subject' as const } },
    ]
    const { url } = await start({ routes: [{ path: '/', service: 'a', plugins }] }, { a: [service.address] })
    const status = async (key: string) => (await fetch(url, { headers: { 'x-api-key': key } })).status
    expect([await status('key-of-shop'), await status('key-of-partner'), await status('key-of-shop')]).toEqual([200, 200, 429])
  })

  it.each([
    [{ keys: [] }, /at least 1/],
    [{ keys: [{ name: 'a', hash: 'secret' }] }, /banyan gateway new-key/],
    [{ keys: [keys[0], keys[0]] }, /has the key of "Pärtner" twice/],
  ])('refuses %j', (config, message) => {
    const plugins = [{ name: 'key-auth' as const, config: config as KeyAuthConfig }]
    expect(() => defineGateway({ routes: [{ path: '/', service: 'a', plugins }] })).toThrow(message)
  })
})

describe('routes that ask for headers or a query', () => {
  it('are taken before those that do not, and others are as if they were not there', async () => {
    const [plain, beta, debug] = [await echo('plain'), await echo('beta'), await echo('debug')]
    const routes = [
      { path: '/', service: 'plain' },
      { path: '/', service: 'beta', headers: { 'X-Version': '2' } },
      { path: '/', service: 'debug', headers: { 'x-version': '2' }, query: { debug: '*' } },
      { path: '/only', exact: true, service: 'beta', query: { a: '1' }, methods: ['POST' as const] },
    ]
    const { url } = await start({ routes }, { plain: [plain.address], beta: [beta.address], debug: [debug.address] })
    const nameOf = async (path: string, headers: Record<string, string> = {}) =>
      ((await (await fetch(`${url}${path}`, { headers })).json()) as Echo).name
    expect(await nameOf('/x')).toBe('plain')
    expect(await nameOf('/x', { 'x-version': '1' })).toBe('plain')
    expect(await nameOf('/x', { 'X-VERSION': '2' })).toBe('beta')
    expect(await nameOf('/x?debug', { 'x-version': '2' })).toBe('debug')
    expect(await nameOf('/x?debug')).toBe('plain')
    expect(await nameOf('/only?a=1')).toBe('plain')
  })

  it('are no route twice when they ask for different things', () => {
    const route = (headers?: Record<string, string>) => ({ path: '/', service: 'a', ...(headers && { headers }) })
    expect(() => defineGateway({ routes: [route(), route({ a: '1' }), route({ a: '2' })] })).not.toThrow()
    expect(() => defineGateway({ routes: [route({ a: '1' }), route({ A: '1' })] })).toThrow(/two routes for the same requests, 1 and 2/)
    expect(() => defineGateway({ routes: [route({ 'a b': '1' })] })).toThrow(/the name of a header/)
  })
})

describe('transformers', () => {
  it('change the headers of requests and responses', async () => {
    const service = await echo()
    const plugins = [
      {
        name: 'request-transformer' as const,
        config: { remove: ['Cookie'], rename: { 'X-Old': 'x-new' }, set: { 'x-set': 'ours' }, add: { 'x-added': '1', accept: 'no' } },
      },
      { name: 'response-transformer' as const, config: { remove: ['server'], set: { 'x-door': 'front' }, add: { 'content-type': 'no' } } },
    ]
    const { url } = await start({ routes: [{ path: '/', service: 'a', plugins }] }, { a: [service.address] })
    const response = await fetch(url, { headers: { cookie: 'a=b', 'x-old': '7', 'x-set': 'theirs', accept: 'text/plain' } })
    const { headers } = (await response.json()) as Echo
    expect(headers).toMatchObject({ 'x-new': '7', 'x-set': 'ours', 'x-added': '1', accept: 'text/plain' })
    expect([headers.cookie, headers['x-old']]).toEqual([undefined, undefined])
    expect(response.headers.get('x-door')).toBe('front')
    expect(response.headers.get('content-type')).not.toBe('no')
  })

  it.each([
    [{}, /changes nothing/],
    [{ set: { 'Content-Length': '1' } }, /may be changed/],
    [{ set: { 'Transfer-Encoding': 'chunked' } }, /may be changed/],
    [{ add: { 'X-Auth-Subject': 'me' } }, /may be changed/],
    [{ rename: { 'x-a': 'X-Forwarded-For' } }, /may be changed/],
    [{ remove: ['host'] }, /may be changed/],
    [{ set: { 'x-a': 'b\r\nx-c: d' } }, /without line breaks/],
  ])('refuse %j', (config, message) => {
    const plugins = [{ name: 'request-transformer' as const, config }]
    expect(() => defineGateway({ routes: [{ path: '/', service: 'a', plugins }] })).toThrow(message)
  })
})
