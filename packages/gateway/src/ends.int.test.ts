import { describe, expect, it } from 'vitest'
import { type Echo, echo, origin, rawOrigin, start, until } from './test/harness.ts'

const nameOf = async (answer: Response) => ((await answer.json()) as Echo).name

describe('a route with split', () => {
  it('gives each place its share, and takes other shares at a reload', async () => {
    const [one, two] = await Promise.all([echo('one'), echo('two')])
    const config = (weights: readonly number[]) => ({
      routes: [{ path: '/', split: [one, two].map(({ url }, index) => ({ url, weight: weights[index] ?? 0 })) }],
    })
    const { url, gateway } = await start(config([3, 1]))
    const counts: Record<string, number> = {}
    for (let n = 0; n < 200; n += 1) {
      const name = await nameOf(await fetch(url))
      counts[name] = (counts[name] ?? 0) + 1
    }
    // 150 wanted; six standard deviations are 37.
    expect(counts.one).toBeGreaterThan(112)
    expect(counts.one).toBeLessThan(188)
    await gateway.reload({ drain_ms: 200, linger_ms: 0, ...config([0, 1]) })
    for (let n = 0; n < 20; n += 1) expect(await nameOf(await fetch(url))).toBe('two')
  })
})

describe('a route with redirect', () => {
  it.each([
    [{ path: '/new' }, '/new?q=1'],
    [{ prefix: '/new' }, '/new/x?q=1'],
    [{ host: 'shop.example', status: 301 as const }, 'http://shop.example:PORT/old/x?q=1'],
    [{ host: 'shop.example', status: 308 as const }, 'http://shop.example:PORT/old/x?q=1'],
    [{ scheme: 'https' as const, host: 'shop.example' }, 'https://shop.example/old/x?q=1'],
    [{ scheme: 'https' as const, port: 8443 }, 'https://127.0.0.1:8443/old/x?q=1'],
    [{ port: 80 }, 'http://127.0.0.1/old/x?q=1'],
  ])('sends the client to %o', async (redirect, location) => {
    const { url, port } = await start({ routes: [{ path: '/old', redirect }] })
    const answer = await fetch(`${url}/old/x?q=1`, { redirect: 'manual' })
    expect([answer.status, answer.headers.get('location')]).toEqual([
      'status' in redirect ? redirect.status : 302,
      location.replace('PORT', String(port)),
    ])
  })
})

describe('a route that changes what is forwarded', () => {
  it('has another path or another host', async () => {
    const { url: to, port } = await echo()
    const { url } = await start({
      routes: [
        { path: '/whole/{id}', url: to, replace_path: '/fixed/{id}', upstream_host: 'inside.example' },
        { path: '/', url: to },
      ],
    })
    const whole = (await (await fetch(`${url}/whole/7/rest?q=1`)).json()) as Echo
    expect([whole.url, whole.headers.host]).toEqual(['/fixed/7?q=1', 'inside.example'])
    expect(((await (await fetch(url)).json()) as Echo).headers.host).toBe(`127.0.0.1:${port}`)
  })
})

describe('a mirror', () => {
  it('gets a copy of safe requests, marked, and its answer is dropped', async () => {
    const seen: { url: string; method: string; mark: unknown }[] = []
    const shadow = await origin((request, response) => {
      seen.push({ url: request.url ?? '', method: request.method ?? '', mark: request.headers['x-mirrored'] })
      response.writeHead(500).end('not for the client')
    })
    const { url } = await start({ routes: [{ path: '/', url: (await echo()).url, mirror: { url: shadow.url } }] })
    const answer = (await (await fetch(`${url}/a?b=1`)).json()) as Echo
    expect(answer.headers['x-mirrored']).toBeUndefined()
    await fetch(`${url}/c`, { method: 'POST', body: 'x' })
    await until(() => seen.length > 0, 'the copy')
    expect(seen).toEqual([{ url: '/a?b=1', method: 'GET', mark: 'true' }])
  })

  it('gets short bodies of the methods it is told', async () => {
    const seen: string[] = []
    const shadow = await origin(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      seen.push(body)
      response.end()
    })
    const mirror = { url: shadow.url, methods: ['POST'], max_body_bytes: 10 }
    const { url } = await start({ routes: [{ path: '/', url: (await echo()).url, mirror }] })
    const send = async (body: string) => ((await (await fetch(url, { method: 'POST', body })).json()) as Echo).body
    expect(await send('longer than ten')).toBe('longer than ten')
    expect(await send('short')).toBe('short')
    await until(() => seen.length > 0, 'the copy')
    expect(seen).toEqual(['short'])
  })

  it('that never answers makes nobody wait, and gets no more than may be in flight', async () => {
    let connections = 0
    const shadow = await rawOrigin(() => {
      connections += 1
    })
    const mirror = { url: `http://${shadow.address}`, max_in_flight: 2 }
    const { url } = await start({ routes: [{ path: '/', url: (await echo()).url, mirror }] })
    const statuses = await Promise.all(Array.from({ length: 20 }, async () => (await fetch(url)).status))
    expect(statuses).toEqual(Array(20).fill(200))
    await until(() => connections > 0, 'a copy')
    expect(connections).toBeLessThanOrEqual(2)
  })

  it('that is away fails nothing', async () => {
    const gone = await origin(() => undefined)
    await gone.kill()
    const { url } = await start({ routes: [{ path: '/', url: (await echo()).url, mirror: { url: gone.url } }] })
    for (let n = 0; n < 30; n += 1) expect((await fetch(url)).status).toBe(200)
  })
})

describe('a check', () => {
  it('leaves an instance out that says it is not well, until it is again', async () => {
    let isWell = false
    const [good, bad] = await Promise.all([
      origin((_, response) => void response.end('good')),
      origin((request, response) => {
        if (request.url === '/health') response.writeHead(isWell ? 200 : 503).end()
        else response.end('bad')
      }),
    ])
    const { url, log } = await start(
      {
        services: { a: { balance: 'round-robin', check: { path: '/health', every_ms: 100, failures: 2, successes: 2 } } },
        routes: [{ path: '/', service: 'a' }],
      },
      { a: [good.address, bad.address] },
    )
    await until(() => log.some(({ message }) => /left out: its check was answered with 503/.test(message)), 'the bad one to be left out')
    const names = await Promise.all(Array.from({ length: 10 }, async () => (await fetch(url)).text()))
    expect(names).toEqual(Array(10).fill('good'))
    isWell = true
    await until(() => log.some(({ message }) => message.includes('is well again')), 'it to be back')
    const later = await Promise.all(Array.from({ length: 10 }, async () => (await fetch(url)).text()))
    expect(new Set(later)).toEqual(new Set(['good', 'bad']))
  })

  it('that all instances fail takes none away', async () => {
    const bad = await origin((request, response) => void (request.url === '/health' ? response.destroy() : response.end('still here')))
    const check = { path: '/health', every_ms: 100, failures: 1 }
    const { url, log } = await start({ services: { a: { check } }, routes: [{ path: '/', service: 'a' }] }, { a: [bad.address] })
    await until(() => log.some(({ message }) => message.includes('left out')), 'the check to fail')
    expect(await (await fetch(url)).text()).toBe('still here')
  })
})
