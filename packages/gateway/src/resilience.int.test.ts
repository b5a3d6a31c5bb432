import { createServer } from 'node:http'
import type { Instance, Registry, Snapshot } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { bodyOf, closedPort, echo, origin, rawOrigin, rawRequest, start, statusOf, until } from './test/harness.ts'

const json = async (response: Response) => (await response.json()) as { code: string; name: string; body: string }

/** A registry whose instances a test changes. */
function changingRegistry(service: string) {
  let snapshot: Snapshot = { instances: [], revision: 0, stale: false }
  const watchers = new Set<(snapshot: Snapshot) => void>()
  const registry: Registry = {
    register: () => Promise.resolve({ deregister: () => Promise.resolve() }),
    watch(_, onChange) {
      watchers.add(onChange)
      if (snapshot.revision > 0) onChange(snapshot)
      return { stop: () => void watchers.delete(onChange) }
    },
  }
  const set = (...ports: number[]) => {
    const instances = ports.map((port): Instance => ({ id: `${service}-${port}`, service, host: '127.0.0.1', port }))
    snapshot = { instances, revision: snapshot.revision + 1, stale: false }
    for (const watcher of watchers) watcher(snapshot)
  }
  return { registry, set, watching: () => watchers.size }
}

describe('hedging', () => {
  it('asks another instance when one takes long, and takes the first answer', async () => {
    const gone: string[] = []
    const slow = await origin((request, response) => {
      response.on('close', () => gone.push(request.url ?? ''))
      setTimeout(() => response.end('slow'), 3_000).unref()
    })
    const quick = await origin((_, response) => void response.end('quick'))
    const { url } = await start(
      { services: { a: { balance: 'round-robin' } }, routes: [{ path: '/', service: 'a', hedge_ms: 50 }] },
      { a: [slow.address, quick.address] },
    )
    for (let n = 0; n < 6; n += 1) expect(await (await fetch(`${url}/${n}`)).text()).toBe('quick')
    await until(() => gone.length >= 2, 'the slow ones to be given up')
  })

  it('sends nothing twice that has a body, or is no GET', async () => {
    let asked = 0
    const slow = await origin((request, response) => {
      asked += 1
      request.resume()
      setTimeout(() => response.end('slow'), 200).unref()
    })
    const { url } = await start(
      { routes: [{ path: '/', service: 'a', hedge_ms: 20 }] },
      { a: [slow.address, slow.address.replace('127.0.0.1', 'localhost')] },
    )
    expect(await (await fetch(url, { method: 'POST', headers: { 'idempotency-key': '1' } })).text()).toBe('slow')
    expect(await (await fetch(url, { method: 'PUT', body: 'x', headers: { 'idempotency-key': '1' } })).text()).toBe('slow')
    expect(asked).toBe(2)
  })

  it('takes the good one of two answers', async () => {
    const bad = await origin((_, response) => void setTimeout(() => response.writeHead(503).end('bad'), 100).unref())
    const good = await origin((_, response) => void setTimeout(() => response.end('good'), 200).unref())
    const { url } = await start(
      {
        services: { a: { balance: 'round-robin', outliers: { max_share: 0 } } },
        routes: [{ path: '/', service: 'a', hedge_ms: 20, retries: 1 }],
      },
      { a: [bad.address, good.address] },
    )
    for (let n = 0; n < 4; n += 1) expect(await (await fetch(url)).text()).toBe('good')
  })
})

describe('a service that is not there', () => {
  it('gives 503 with Retry-After when nothing listens', async () => {
    const { url, log } = await start({ routes: [{ path: '/', service: 'a', retries: 0 }] }, { a: [`127.0.0.1:${await closedPort()}`] })
    const response = await fetch(url)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await response.json()).toMatchObject({ code: 'ERR_UPSTREAM_UNREACHABLE', detail: '"a" cannot be reached', status: 503 })
    expect(log.some(({ level, error }) => level === 'warn' && String(error).includes('ECONNREFUSED'))).toBe(true)
  })

  it('gives 503 when discovery knows no instance', async () => {
    const { registry, set } = changingRegistry('a')
    set()
    const { url } = await start({ routes: [{ path: '/', service: 'a' }] }, registry)
    const response = await fetch(url)
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ code: 'ERR_NO_INSTANCE' })
  })

  it('is waited for when discovery has not said anything yet', async () => {
    const service = await echo()
    const { registry, set, watching } = changingRegistry('a')
    const { url } = await start({ routes: [{ path: '/', service: 'a' }] }, registry)
    const pending = fetch(url)
    await until(() => watching() > 0, 'the watch')
    setTimeout(() => set(service.port), 100)
    expect((await pending).status).toBe(200)
  })

  it('gives 504 when it does not answer in time, and its connection is closed', async () => {
    let closed = 0
    const service = await rawOrigin(
      (socket) =>
        void socket
          .on('data', () => undefined)
          .on('close', () => {
            closed += 1
          }),
    )
    const { url } = await start({ routes: [{ path: '/', service: 'a', timeout_ms: 200, retries: 0 }] }, { a: [service.address] })
    const startedAt = Date.now()
    const response = await fetch(url)
    expect([response.status, (await json(response)).code]).toEqual([504, 'ERR_UPSTREAM_TIMEOUT'])
    expect(Date.now() - startedAt).toBeLessThan(3_000)
    await until(() => closed === 1, 'the connection to be closed')
  })

  it('gives 502 when it breaks the connection', async () => {
    const service = await rawOrigin((socket) => void socket.on('data', () => socket.destroy()))
    const { url } = await start({ routes: [{ path: '/', service: 'a', retries: 0 }] }, { a: [service.address] })
    const response = await fetch(url)
    expect([response.status, (await json(response)).code]).toEqual([502, 'ERR_UPSTREAM_FAILED'])
  })
})

describe('another try', () => {
  it('goes to the second upstream when the first was killed, so that no GET fails', async () => {
    const [one, two] = [await echo('one'), await echo('two')]
    const { url } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [one.address, two.address] })
    const statuses: number[] = []
    const names = new Set<string>()
    const worker = async () => {
      for (let index = 0; index < 100; index += 1) {
        if (statuses.length === 200) await one.kill()
        const response = await fetch(`${url}/${index}`)
        statuses.push(response.status)
        names.add((await json(response)).name)
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    expect(statuses.filter((status) => status !== 200)).toEqual([])
    expect(names).toEqual(new Set(['one', 'two']))
  })

  it('is made of a POST when no byte was sent, so none is lost', async () => {
    const service = await echo()
    const { url } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [`127.0.0.1:${await closedPort()}`, service.address] })
    for (let index = 0; index < 10; index += 1) {
      const response = await fetch(url, { method: 'POST', body: `order ${index}` })
      expect([response.status, (await json(response)).body]).toEqual([200, `order ${index}`])
    }
  })

  it('is not made of a POST that may have arrived, and is with an Idempotency-Key', async () => {
    let arrived = 0
    const breaking = await origin((request) => {
      arrived += 1
      request.socket.destroy()
    })
    const { url } = await start({ routes: [{ path: '/', service: 'a', retries: 1 }] }, { a: [breaking.address] })
    expect((await fetch(url, { method: 'POST', body: 'x' })).status).toBe(502)
    expect(arrived).toBe(1)
    expect((await fetch(url, { method: 'POST', body: 'x', headers: { 'idempotency-key': 'k' } })).status).toBe(502)
    expect(arrived).toBe(3)
    expect((await fetch(url)).status).toBe(502)
    expect(arrived).toBe(5)
  })

  it('sends a body again as long as it is all kept, and not a larger one', async () => {
    const bodies: number[] = []
    const flaky = await origin(async (request, response) => {
      const body = await bodyOf(request)
      bodies.push(body.length)
      if (bodies.length % 2 === 1) request.socket.destroy()
      else response.end(String(body.length))
    })
    const { url } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [flaky.address] })
    const send = (size: number, stream = false) => {
      const bytes = Buffer.alloc(size, 'x')
      const body = stream ? ReadableStream.from([bytes]) : bytes
      return fetch(url, { method: 'POST', body, headers: { 'idempotency-key': 'k' }, duplex: 'half' } as RequestInit)
    }
    expect(await (await send(60_000)).text()).toBe('60000')
    expect(await (await send(60_000, true)).text()).toBe('60000')
    expect(bodies).toEqual([60_000, 60_000, 60_000, 60_000])
    expect((await send(70_000)).status).toBe(502)
    expect(bodies).toHaveLength(5)
  })

  it('is made elsewhere when a service says 503, and its answer is passed on when there is no elsewhere', async () => {
    const busy = await origin((_, response) => response.writeHead(503, { 'retry-after': '7', 'content-type': 'text/plain' }).end('busy'))
    const free = await echo('free')
    const both = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [busy.address, free.address] })
    for (let index = 0; index < 10; index += 1) expect((await fetch(both.url)).status).toBe(200)
    const alone = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [busy.address] })
    const response = await fetch(alone.url)
    expect([response.status, response.headers.get('retry-after'), await response.text()]).toEqual([503, '7', 'busy'])
  })

  it('of one slow try leaves time for another', async () => {
    let calls = 0
    const service = await origin((_, response) => {
      calls += 1
      if (calls > 1) response.end('late but there')
    })
    const { url } = await start({ routes: [{ path: '/', service: 'a', timeout_ms: 5_000, try_timeout_ms: 200 }] }, { a: [service.address] })
    expect(await (await fetch(url)).text()).toBe('late but there')
  })

  it('is not made without end: all tries together keep to the timeout of the route', async () => {
    const service = await rawOrigin(() => undefined)
    const { url } = await start(
      { routes: [{ path: '/', service: 'a', timeout_ms: 500, try_timeout_ms: 200, retries: 5 }] },
      { a: [service.address] },
    )
    const startedAt = Date.now()
    expect((await fetch(url)).status).toBe(504)
    expect(Date.now() - startedAt).toBeLessThan(3_000)
  })
})

describe('a total outage', () => {
  it('opens the breaker, which answers at once, and closes when the service is back', async () => {
    let isDown = true
    let calls = 0
    const service = await origin((_, response) => {
      calls += 1
      response.statusCode = isDown ? 503 : 200
      response.end()
    })
    const breaker = { minimum_calls: 5, failure_rate: 0.5, cool_down_ms: 300 }
    const { url, adminUrl } = await start({ breaker, routes: [{ path: '/', service: 'a', retries: 0 }] }, { a: [service.address] })
    for (let index = 0; index < 5; index += 1) expect((await fetch(url)).status).toBe(503)
    const rejected = await fetch(url)
    expect([rejected.status, calls]).toEqual([503, 5])
    expect(rejected.headers.get('retry-after')).toBe('1')
    expect(await rejected.json()).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(await (await fetch(`${adminUrl}/health/ready`)).json()).toMatchObject({ upstreams: [{ name: 'a', breaker: 'open' }] })
    isDown = false
    await new Promise((resolve) => setTimeout(resolve, 350))
    for (let index = 0; index < 4; index += 1) expect((await fetch(url)).status).toBe(200)
  })

  it('is not to be had by clients who give a service that is well too little time', async () => {
    const service = await origin((_, response) => void setTimeout(() => response.end('well'), 50))
    const breaker = { minimum_calls: 5, failure_rate: 0.1 }
    const { url, log } = await start({ breaker, routes: [{ path: '/', service: 'a', retries: 0 }] }, { a: [service.address] })
    for (let index = 0; index < 10; index += 1) {
      const late = await fetch(url, { headers: { 'x-timeout-ms': '1' } })
      expect([late.status, (await json(late)).code]).toEqual([504, 'ERR_UPSTREAM_TIMEOUT'])
    }
    expect(await (await fetch(url)).text()).toBe('well')
    expect(log.filter(({ level }) => level === 'warn')).toEqual([])
  })

  it('is not to be had by clients who stop within their bodies', async () => {
    const service = await origin((request, response) => void request.resume().on('end', () => response.end('well')))
    const breaker = { minimum_calls: 5, failure_rate: 0.1 }
    const route = { path: '/', service: 'a', retries: 0, timeout_ms: 100, idle_timeout_ms: 100 }
    const { url, port } = await start({ breaker, routes: [route] }, { a: [service.address] })
    const half = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'
    const late = await Promise.all(Array.from({ length: 10 }, () => rawRequest(port, half)))
    for (const raw of late) expect([statusOf(raw), raw.includes('ERR_BODY_CUT')]).toEqual([408, true])
    expect(await (await fetch(url, { method: 'POST', body: 'whole' })).text()).toBe('well')
  })

  it('is blamed on a service that takes nothing of a body', async () => {
    const service = await rawOrigin((socket) => void socket.pause())
    const route = { path: '/', service: 'a', retries: 0, timeout_ms: 100, idle_timeout_ms: 100 }
    const { url } = await start({ max_body_bytes: 100_000_000, routes: [route] }, { a: [service.address] })
    const answer = await fetch(url, { method: 'POST', body: Buffer.alloc(50_000_000) })
    expect([answer.status, (await json(answer)).code]).toEqual([504, 'ERR_UPSTREAM_TIMEOUT'])
  })

  it.each([
    ['in the time of the route', 50],
    ['though its clients give it a fair part of the time of the route', 200],
  ])('opens the breaker when nothing answers %s', async (_, timeout_ms) => {
    const service = await rawOrigin((socket) => void socket.resume())
    const breaker = { minimum_calls: 5 }
    const { url } = await start({ breaker, routes: [{ path: '/', service: 'a', retries: 0, timeout_ms }] }, { a: [service.address] })
    for (let index = 0; index < 5; index += 1) expect((await fetch(url, { headers: { 'x-timeout-ms': '60' } })).status).toBe(504)
    expect(await json(await fetch(url))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
  })

  it('is not made worse by retries', async () => {
    let tries = 0
    // Not by the harness: it must count connections that it breaks.
    const server = createServer((request) => {
      tries += 1
      request.socket.destroy()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const { url } = await start(
      { breaker: { minimum_calls: 1_000_000 }, routes: [{ path: '/', service: 'a', retries: 2 }] },
      { a: [`127.0.0.1:${port}`] },
    )
    const requests = 300
    const startedAt = performance.now()
    for (let sent = 0; sent < requests; sent += 50)
      await Promise.all(Array.from({ length: 50 }, () => fetch(url).then((response) => response.text())))
    server.close()
    // A fifth, and the reserve of 10 a second, over the budget's window of 10 s as well.
    expect(tries).toBeLessThanOrEqual(requests * 1.2 + 10 * ((performance.now() - startedAt) / 1_000 + 10))
    expect(tries).toBeGreaterThan(requests)
  })
})
