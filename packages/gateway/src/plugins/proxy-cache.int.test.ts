import type { RequestListener } from 'node:http'
import { manualWorld } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { origin, rawRequest, start, statusOf, until } from '../test/harness.ts'
import type { ProxyCacheConfig } from './proxy-cache.ts'

/** A gateway with a cache before a service, which says how often it was asked. */
async function cached(handle: RequestListener, config: ProxyCacheConfig = {}, more: Parameters<typeof start>[2] = {}) {
  let asked = 0
  const service = await origin((request, response) => {
    asked += 1
    return handle(request, response)
  })
  const file = { routes: [{ path: '/', url: service.url, plugins: [{ name: 'proxy-cache' as const, config }] }] }
  const running = await start(file, {}, more)
  const get = async (path = '/', init: RequestInit = {}) => {
    const answer = await fetch(new URL(path, running.url), init)
    const { headers } = answer
    return { status: answer.status, text: await answer.text(), said: headers.get('cache-status'), age: headers.get('age'), headers }
  }
  return { ...running, file, service, get, asked: () => asked }
}

const fresh: RequestListener = (request, response) => {
  response.setHeader('cache-control', 'max-age=60')
  response.end(`${request.method} ${request.url}`)
}

describe('proxy-cache', () => {
  it('gives an answer again, and says so', async () => {
    const { get, asked } = await cached(fresh, {}, { world: manualWorld() })
    expect(await get('/a?b=1')).toMatchObject({ text: 'GET /a?b=1', said: 'banyan; fwd=uri-miss; stored', age: null })
    expect(await get('/a?b=1')).toMatchObject({ text: 'GET /a?b=1', said: 'banyan; hit; ttl=60', age: '0' })
    expect(await get('/x/../a?b=1')).toMatchObject({ text: 'GET /a?b=1', age: '0' })
    expect(await get('/a?b=2')).toMatchObject({ text: 'GET /a?b=2', age: null })
    expect(await get('/a?b=1', { method: 'HEAD' })).toMatchObject({ status: 200, text: '', age: '0' })
    expect(asked()).toBe(2)
  })

  it('keeps apart what Vary tells apart', async () => {
    const inItsLanguage: RequestListener = (request, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60', vary: 'accept-language' }).end(request.headers['accept-language'])
    }
    const { get, asked } = await cached(inItsLanguage, {}, { world: manualWorld() })
    const inLanguage = (language: string) => get('/', { headers: { 'accept-language': language } })
    expect((await inLanguage('de')).text).toBe('de')
    expect(await inLanguage('fr')).toMatchObject({ text: 'fr', said: 'banyan; fwd=vary-miss; stored' })
    expect(await inLanguage('de')).toMatchObject({ text: 'de', age: '0' })
    expect(asked()).toBe(2)
  })

  it('asks on the condition that there is something new, and keeps the old when there is not', async () => {
    const world = manualWorld()
    let tag = '"1"'
    const conditions: unknown[] = []
    const { get, port } = await cached(
      (request, response) => {
        conditions.push(request.headers['if-none-match'])
        response.setHeader('etag', tag).setHeader('cache-control', 'max-age=10').setHeader('x-count', conditions.length)
        if (request.headers['if-none-match'] === tag) response.writeHead(304).end()
        else response.end(`body of ${tag}`)
      },
      {},
      { world },
    )
    await get()
    await world.advance(11_000)
    const second = await get()
    expect(second).toMatchObject({ status: 200, text: 'body of "1"', said: 'banyan; fwd=stale; fwd-status=304' })
    expect(second.headers.get('x-count')).toBe('2')
    expect((await get()).said).toMatch(/hit/)
    // Not by fetch, which asks for no stored answer then.
    const known = await rawRequest(port, `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nIf-None-Match: "1"\r\nConnection: close\r\n\r\n`)
    expect(statusOf(known)).toBe(304)
    tag = '"2"'
    await world.advance(11_000)
    expect((await get()).text).toBe('body of "2"')
    expect(conditions).toEqual([undefined, '"1"', '"1"'])
  })

  it('asks once for many who ask at once', async () => {
    const open: (() => void)[] = []
    const { get, asked } = await cached((request, response) => void open.push(() => fresh(request, response)))
    const all = Array.from({ length: 20 }, () => get('/same'))
    await until(() => open.length > 0, 'the first request')
    // Time for the others to come, too.
    await new Promise((resolve) => setTimeout(resolve, 100))
    for (const answer of open.splice(0)) answer()
    const answers = await Promise.all(all)
    expect(answers.map(({ text }) => text)).toEqual(Array(20).fill('GET /same'))
    expect(asked()).toBe(1)
    expect(answers.filter(({ said }) => said === 'banyan; fwd=uri-miss; collapsed')).toHaveLength(19)
  })

  it('makes nobody wait twice for what is for one client only', async () => {
    let atOnce = 0
    let most = 0
    const { get, asked } = await cached(async (_, response) => {
      atOnce += 1
      most = Math.max(most, atOnce)
      await new Promise((resolve) => setTimeout(resolve, 50))
      atOnce -= 1
      response.writeHead(200, { 'cache-control': 'private' }).end('own')
    })
    await Promise.all(Array.from({ length: 10 }, () => get()))
    expect([asked(), most > 1]).toEqual([10, true])
  })

  it('lets another one ask when the first one fails or its client leaves', async () => {
    let isFirst = true
    const { get, port, asked } = await cached((request, response) => {
      if (!isFirst) return fresh(request, response)
      isFirst = false
      response.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': 100 }).write('only a part')
      setTimeout(() => response.destroy(), 100)
    })
    const first = rawRequest(port, `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
    await until(() => asked() === 1, 'the first request')
    const second = get()
    expect(await first).toContain('only a part')
    expect((await second).text).toBe('GET /')
    expect(asked()).toBe(2)
  })

  it('makes nobody wait for a service that fails, and goes on to wait for it later', async () => {
    const open: (() => void)[] = []
    let status = 503
    const { get, asked } = await cached((request, response) => {
      open.push(() => (status === 200 ? fresh(request, response) : void response.writeHead(status).end()))
    })
    const three = () => Array.from({ length: 3 }, () => get())
    const failing = three()
    await until(() => open.length === 1, 'the first request')
    await new Promise((resolve) => setTimeout(resolve, 50))
    open.shift()?.()
    await until(() => open.length === 2, 'the others, each by itself')
    for (const answer of open.splice(0)) answer()
    expect((await Promise.all(failing)).map((answer) => answer.status)).toEqual([503, 503, 503])
    status = 200
    const good = three()
    await until(() => open.length === 1, 'one for all')
    await new Promise((resolve) => setTimeout(resolve, 50))
    for (const answer of open.splice(0)) answer()
    expect((await Promise.all(good)).map((answer) => answer.status)).toEqual([200, 200, 200])
    expect(asked()).toBe(4)
  })

  it('never gives what was cut short, nor what is too long', async () => {
    const { get, port, asked } = await cached(
      (request, response) => {
        response.writeHead(200, { 'cache-control': 'max-age=60' })
        if (request.url === '/long') return void response.end('x'.repeat(5_000))
        response.write('part')
        setTimeout(() => response.destroy(), 20)
      },
      { max_entry_bytes: 1_000 },
    )
    expect(await rawRequest(port, 'GET /cut HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')).toContain('part')
    expect(await rawRequest(port, 'GET /cut HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')).toContain('part')
    expect((await get('/long')).text).toHaveLength(5_000)
    expect((await get('/long')).text).toHaveLength(5_000)
    expect(asked()).toBe(4)
  })

  it('forgets what a change that succeeded makes old', async () => {
    let status = 500
    const { get, asked } = await cached((request, response) => {
      if (request.method === 'GET') return fresh(request, response)
      response.writeHead(status, { location: '/other', 'content-location': 'http://elsewhere.example/kept' }).end()
    })
    for (const path of ['/a', '/other', '/kept']) await get(path)
    await get('/a', { method: 'PUT' })
    expect((await get('/a')).age).toBe('0')
    status = 201
    expect((await get('/a', { method: 'PUT' })).said).toBe('banyan; fwd=method')
    const ages = await Promise.all(['/a', '/other', '/kept'].map(async (path) => (await get(path)).age))
    expect(ages).toEqual([null, null, '0'])
    expect(asked()).toBe(7)
  })

  it('gives nobody what belongs to another', async () => {
    const { get, asked } = await cached((request, response) => {
      response.setHeader('cache-control', 'max-age=60').setHeader('set-cookie', request.url === '/cookie' ? ['session=1'] : [])
      response.end(request.headers.authorization ?? 'nobody')
    })
    const as = (who: string, path = '/') => get(path, { headers: { authorization: who } })
    expect((await as('ada')).text).toBe('ada')
    expect((await as('eve')).text).toBe('eve')
    expect((await get()).text).toBe('nobody')
    await get('/cookie')
    await get('/cookie')
    expect(asked()).toBe(5)
  })

  it('leaves alone what asks for a part, or on conditions it does not judge', async () => {
    const { get, asked } = await cached(fresh)
    await get()
    for (const headers of [{ range: 'bytes=0-1' }, { 'if-match': '"x"' }] as Record<string, string>[])
      expect((await get('/', { headers })).said).toBe('banyan; fwd=bypass')
    expect((await get('/', { headers: { 'cache-control': 'no-cache' } })).said).toBe('banyan; fwd=request; stored')
    expect(await get('/new', { headers: { 'cache-control': 'only-if-cached' } })).toMatchObject({ status: 504 })
    expect(asked()).toBe(4)
  })

  it('gives a stale answer while it asks for a new one, or when there is none to be had', async () => {
    const world = manualWorld()
    let fails = false
    let count = 0
    const { get } = await cached(
      (request, response) => {
        count += 1
        if (fails) return void response.writeHead(503).end()
        const said = request.url === '/later' ? 'max-age=10, stale-while-revalidate=60' : 'max-age=10, stale-if-error=60'
        response.writeHead(200, { 'cache-control': said }).end(String(count))
      },
      {},
      { world },
    )
    await get('/later')
    await world.advance(15_000)
    expect(await get('/later')).toMatchObject({ text: '1', said: 'banyan; hit; ttl=-5' })
    await until(() => count === 2, 'the service to be asked behind')
    let later = await get('/later')
    // Its answer is on the way.
    for (let tries = 0; later.text === '1' && tries < 100; tries += 1) later = await get('/later')
    expect([later.text, count]).toEqual(['2', 2])
    await get('/error')
    fails = true
    await world.advance(15_000)
    expect(await get('/error')).toMatchObject({ status: 200, text: '3', said: 'banyan; fwd=stale; fwd-status=503' })
    await world.advance(60_000)
    expect((await get('/error')).status).toBe(503)
  })

  it('keeps what it has over a reload that does not change it', async () => {
    const { get, gateway, file, asked } = await cached(fresh)
    await get()
    await gateway.reload({ drain_ms: 200, linger_ms: 0, ...file, routes: [...file.routes, { path: '/more', service: 'a' }] })
    expect((await get()).age).toBe('0')
    expect(asked()).toBe(1)
  })
})
