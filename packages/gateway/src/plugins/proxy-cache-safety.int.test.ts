import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { manualWorld } from '@banyan/core'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { GatewayConfig } from '../config.ts'
import { origin, rawRequest, start, until } from '../test/harness.ts'
import type { ProxyCacheConfig } from './proxy-cache.ts'

type Plugins = NonNullable<GatewayConfig['plugins']>

/** A gateway with a cache before a service, which says how often it was asked. */
async function cached(
  handle: RequestListener,
  { before = [], ...config }: ProxyCacheConfig & { before?: Plugins } = {},
  { world, file = {} }: { world?: ReturnType<typeof manualWorld>; file?: Partial<GatewayConfig> } = {},
) {
  let asked = 0
  const service = await origin((request, response) => {
    asked += 1
    return handle(request, response)
  })
  const plugins: Plugins = [...before, { name: 'proxy-cache', config }]
  const running = await start({ ...file, routes: [{ path: '/', url: service.url, plugins }] }, {}, { ...(world && { world }) })
  const get = async (path = '/', headers: Record<string, string> = {}, method = 'GET') => {
    const answer = await fetch(new URL(path, running.url), { method, headers })
    return { status: answer.status, text: await answer.text(), said: answer.headers.get('cache-status'), headers: answer.headers }
  }
  /** With headers that fetch sends in its own way. */
  const raw = (...headers: string[]) =>
    rawRequest(running.port, `${['GET / HTTP/1.1', ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`)
  const hostLine = `Host: 127.0.0.1:${running.port}`
  return { ...running, get, raw, hostLine, asked: () => asked }
}

/** A service whose answers are held back until the test lets them go. */
function held() {
  const open: { request: IncomingMessage; response: ServerResponse }[] = []
  const handle: RequestListener = (request, response) => void open.push({ request, response })
  const next = async (what: string) => {
    await until(() => open.length > 0, what)
    return open.shift() as (typeof open)[number]
  }
  return { open, handle, next }
}

const fresh: RequestListener = (request, response) => {
  response.setHeader('cache-control', 'max-age=60')
  response.end(request.headers.authorization ?? 'nobody')
}

describe('proxy-cache gives nobody what is for another', () => {
  it('hands a cookie that comes with a 304 to its client only', async () => {
    const world = manualWorld()
    let count = 0
    const { get } = await cached(
      (request, response) => {
        count += 1
        response.setHeader('cache-control', 'max-age=10').setHeader('etag', '"1"')
        if (request.headers['if-none-match'] === '"1"') response.writeHead(304, { 'set-cookie': `session=${count}` }).end()
        else response.end('body')
      },
      {},
      { world },
    )
    await get()
    await world.advance(11_000)
    expect((await get()).headers.get('set-cookie')).toBe('session=2')
    const other = await get()
    expect([other.text, other.headers.get('set-cookie'), count]).toEqual(['body', null, 3])
  })

  it('gives who says who they are nothing that others left, and takes nothing of what is there from those', async () => {
    const { get, asked } = await cached(fresh)
    expect((await get()).text).toBe('nobody')
    expect(await get('/', { authorization: 'ada' })).toMatchObject({ text: 'ada', said: 'banyan; fwd=miss' })
    expect(await get()).toMatchObject({ text: 'nobody', said: expect.stringContaining('hit') })
    expect(asked()).toBe(2)
  })

  it('shares what says that it is for all', async () => {
    const { get, asked } = await cached((_, response) => void response.writeHead(200, { 'cache-control': 'public, max-age=60' }).end('all'))
    for (const headers of [{ authorization: 'ada' }, {}, { authorization: 'eve' }]) await get('/', headers as Record<string, string>)
    expect(asked()).toBe(1)
  })

  it('behind a plugin that found out who calls, keeps only what is for all', async () => {
    const keys = ['ada', 'eve'].map((name) => ({ name, hash: `sha256:${createHash('sha256').update(`key-of-${name}`).digest('hex')}` }))
    const { get, asked } = await cached(
      (request, response) => {
        response.setHeader('cache-control', request.url === '/all' ? 'max-age=60, public' : 'max-age=60')
        response.end(request.headers['x-auth-subject'])
      },
      { before: [{ name: 'key-auth', config: { keys } }] },
    )
    expect((await get('/', { 'x-api-key': 'key-of-ada' })).text).toBe('ada')
    expect((await get('/', { 'x-api-key': 'key-of-eve' })).text).toBe('eve')
    await get('/all', { 'x-api-key': 'key-of-ada' })
    await get('/all', { 'x-api-key': 'key-of-eve' })
    expect(asked()).toBe(3)
  })

  it.each([
    ['of the route', [], ['proxy-cache', 'key-auth']],
    ['of the file and of the route', ['proxy-cache'], ['key-auth']],
    ['of the file', ['proxy-cache', 'key-auth'], []],
  ])('is refused before a plugin that says who may call, which would let everyone in to what is kept: %s', async (_, file, route) => {
    const keys = [{ name: 'shop', hash: `sha256:${createHash('sha256').update('key-of-shop').digest('hex')}` }]
    const known: Readonly<Record<string, Plugins[number]>> = {
      'proxy-cache': { name: 'proxy-cache' },
      'key-auth': { name: 'key-auth', config: { keys } },
    }
    const of = (names: string[]) => names.flatMap((name) => known[name] ?? [])
    const service = await origin(fresh)
    const made = { plugins: of(file), routes: [{ path: '/', url: service.url, plugins: of(route) }] }
    await expect(start(made)).rejects.toThrow(
      'has "key-auth" behind "proxy-cache" in route 1, where what is kept goes to who may not call; wanted "proxy-cache" behind it',
    )
  })

  it('keeps nothing that says nothing for who has a cookie, whatever the default is', async () => {
    const { get, asked } = await cached((request, response) => void response.end(request.headers.cookie ?? 'nobody'), { default_ttl_s: 60 })
    expect((await get('/', { cookie: 'session=ada' })).text).toBe('session=ada')
    expect((await get()).text).toBe('nobody')
    expect((await get()).text).toBe('nobody')
    expect(asked()).toBe(2)
  })

  it('tells apart what a service is told of host, port and scheme', async () => {
    const { raw } = await cached(
      (request, response) => {
        response.setHeader('cache-control', 'max-age=60')
        response.end(`at ${request.headers['x-forwarded-proto']}://${request.headers['x-forwarded-host']} end`)
      },
      {},
      { file: { trusted_proxies: ['127.0.0.1'] } },
    )
    expect(await raw('Host: shop.example:666')).toContain('at http://shop.example:666 end')
    expect(await raw('Host: shop.example')).toContain('at http://shop.example end')
    expect(await raw('Host: shop.example', 'X-Forwarded-Proto: https')).toContain('at https://shop.example end')
    expect(await raw('Host: shop.example', 'X-Forwarded-Host: evil.example')).toContain('at http://evil.example end')
    expect(await raw('Host: SHOP.example')).toMatch(/at http:\/\/shop.example end/)
  })

  it('leaves alone what asks for another method than it says', async () => {
    const { get } = await cached((request, response) => {
      const isOther = request.headers['x-http-method-override'] !== undefined
      response.writeHead(isOther ? 404 : 200, { 'cache-control': 'max-age=60' }).end()
    })
    expect(await get('/', { 'x-http-method-override': 'POST' })).toMatchObject({ status: 404, said: 'banyan; fwd=bypass' })
    expect((await get()).status).toBe(200)
  })
})

describe('proxy-cache lets no client take away what is for others', () => {
  it('keeps what it has when a client wants nothing kept, or is refused', async () => {
    const { get, asked } = await cached((request, response) => {
      if (request.headers['x-bad']) return void response.writeHead(Number(request.headers['x-bad'])).end()
      fresh(request, response)
    })
    await get()
    for (const headers of [{ 'cache-control': 'no-store, max-age=0' }, ...['400', '401', '403', '429'].map((bad) => ({ 'x-bad': bad }))]) {
      await get('/', { 'cache-control': 'no-cache', ...headers } as Record<string, string>)
      expect((await get()).said).toMatch(/hit/)
    }
    expect(asked()).toBe(6)
  })

  it.each<[string, Record<string, string>]>([
    ['wants nothing kept', { 'cache-control': 'no-store' }],
    ['has it already', { 'if-none-match': '"1"' }],
    ['is refused', { 'x-bad': '403' }],
    ['says who it is', { authorization: 'ada' }],
  ])('makes others wait for one answer also after a client that %s', async (_, headers) => {
    const { next, open, handle } = held()
    const { get, raw, hostLine, asked } = await cached(handle)
    const first = 'cache-control' in headers || 'if-none-match' in headers ? raw(hostLine, ...linesOf(headers)) : get('/', headers)
    const { request, response } = await next('the first request')
    if (request.headers['if-none-match']) response.writeHead(304).end()
    else if (request.headers['x-bad']) response.writeHead(403).end()
    else fresh(request, response)
    await first
    const others = Array.from({ length: 3 }, () => get())
    const one = await next('one for all')
    // Time for the others to come, too.
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(open).toHaveLength(0)
    fresh(one.request, one.response)
    expect((await Promise.all(others)).map(({ text }) => text)).toEqual(['nobody', 'nobody', 'nobody'])
    expect(asked()).toBe(2)
  })

  it('makes nobody wait for an answer in another language', async () => {
    const { next, open, handle } = held()
    const world = manualWorld()
    const { get } = await cached(handle, {}, { world })
    const inLanguage = (language: string) => get('/', { 'accept-language': language })
    const answer = ({ request, response }: Awaited<ReturnType<typeof next>>) =>
      void response.writeHead(200, { 'cache-control': 'max-age=10', vary: 'accept-language' }).end(request.headers['accept-language'])
    const known = inLanguage('de')
    answer(await next('the first request'))
    await known
    await world.advance(11_000)
    const both = [inLanguage('de'), inLanguage('fr')]
    await until(() => open.length === 2, 'both languages at once')
    for (const each of open.splice(0)) answer(each)
    expect((await Promise.all(both)).map(({ text }) => text)).toEqual(['de', 'fr'])
  })
})

describe('proxy-cache keeps nothing that is old', () => {
  it('forgets what was on its way when a change came', async () => {
    const { next, handle } = held()
    const { get } = await cached(handle)
    const early = get()
    const slow = await next('the read')
    const change = get('/', {}, 'PUT')
    const put = await next('the change')
    put.response.writeHead(204).end()
    await change
    slow.response.writeHead(200, { 'cache-control': 'max-age=60' }).end('old')
    expect((await early).text).toBe('old')
    const later = get()
    const second = await next('another read')
    second.response.writeHead(200, { 'cache-control': 'max-age=60' }).end('new')
    expect((await later).text).toBe('new')
  })

  it('does not make who comes after a change wait for what was asked before it', async () => {
    const { next, handle } = held()
    const { get } = await cached(handle)
    const early = get()
    const slow = await next('the read')
    const change = get('/', {}, 'DELETE')
    void (await next('the change')).response.writeHead(204).end()
    await change
    const later = get()
    void (await next('a read of its own')).response.writeHead(200, { 'cache-control': 'max-age=60' }).end('new')
    expect((await later).text).toBe('new')
    slow.response.end('old')
    expect((await early).text).toBe('old')
    expect(await get()).toMatchObject({ text: 'new', said: expect.stringContaining('hit') })
  })

  it('forgets what a change names in another spelling', async () => {
    const { get } = await cached((request, response) => {
      if (request.method === 'GET') return fresh(request, response)
      response.writeHead(201, { location: './a%7eb/%c3%a9' }).end()
    })
    await get('/x/a~b/%C3%A9')
    await get('/x/new', {}, 'POST')
    expect((await get('/x/a~b/%C3%A9')).said).toMatch(/uri-miss/)
  })

  it('asks again when a 304 is about another answer than the stored one', async () => {
    const world = manualWorld()
    let count = 0
    const { get } = await cached(
      (request, response) => {
        count += 1
        response.setHeader('cache-control', 'max-age=10').setHeader('last-modified', 'Thu, 26 Nov 2026 12:00:00 GMT')
        response.setHeader('etag', count === 1 ? '"1"' : '"2"')
        if (request.headers['if-modified-since']) response.writeHead(304).end()
        else response.end(String(count))
      },
      {},
      { world },
    )
    expect((await get()).text).toBe('1')
    await world.advance(11_000)
    expect((await get()).text).toBe('3')
  })
})

describe('proxy-cache streams', () => {
  it('hands on what has come while the rest is still to come, and keeps it all', async () => {
    const { next, handle } = held()
    const { port, get, asked } = await cached(handle)
    const socket = connect(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    let received = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      received += chunk
    })
    socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
    const { response } = await next('the request')
    response.writeHead(200, { 'cache-control': 'max-age=60' }).write('first, ')
    await until(() => received.includes('first, '), 'the first part')
    response.end('second')
    await until(() => received.includes('second'), 'the second part')
    expect(await get()).toMatchObject({ text: 'first, second', said: expect.stringContaining('hit') })
    expect(asked()).toBe(1)
  })

  it('takes no more from the service than the client takes', async () => {
    let taken = 0
    const { port } = await cached(
      async (_, response) => {
        response.writeHead(200, { 'cache-control': 'max-age=60' })
        const piece = Buffer.alloc(1_048_576)
        for (let count = 0; count < 200 && !response.destroyed; count += 1) {
          if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')])
          taken += piece.length
        }
      },
      { max_bytes: 1_000_000_000, max_entry_bytes: 500_000_000 },
    )
    const socket = connect(port, '127.0.0.1').pause()
    onTestFinished(() => void socket.destroy())
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    let before = -1
    // It has come to a stand when nothing moves for a while.
    while (before !== taken) {
      before = taken
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    expect(taken).toBeGreaterThan(0)
    expect(taken).toBeLessThan(60_000_000)
  })
})

function linesOf(headers: Record<string, string>): string[] {
  return Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
}
