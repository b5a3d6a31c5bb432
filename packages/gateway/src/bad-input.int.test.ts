import { connect } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Plugin } from './index.ts'
import { echo, origin, rawAnswer, rawOrigin, rawRequest, start, statusOf, until } from './test/harness.ts'

/** A gateway before an origin that counts what reaches it. */
async function guarded() {
  let reached = 0
  const service = await origin((_, response) => {
    reached += 1
    response.end('reached')
  })
  const running = await start({ headers_timeout_ms: 1_000, routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
  return { ...running, reached: () => reached }
}

const CLOSE = 'Host: x\r\nConnection: close\r\n'

describe('a request that servers could read differently', () => {
  it('behind a good one does not spoil its answer', async () => {
    const { port } = await guarded()
    const raw = await rawRequest(port, `GET / HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n`)
    expect(raw === '' || /^HTTP\/1\.1 200 .*reached/s.test(raw)).toBe(true)
    expect(raw).not.toContain('ERR_REQUEST_INVALID')
  })

  it('that never ends its head is ended', async () => {
    const { port } = await guarded()
    const raw = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ')
    expect(statusOf(raw)).toBe(408)
  })

  it('and was never read has its line in the log, as any other has', async () => {
    const { port, log } = await guarded()
    const heads = ['GARBAGE\r\n\r\n', `CONNECT x:1 HTTP/1.1\r\n${CLOSE}\r\n`, `GET / HTTP/1.1\r\n${CLOSE}Expect: cake\r\n\r\n`]
    for (const head of heads) await rawRequest(port, head)
    expect(log.map(({ level, status, code, message }) => [level, status, code, message])).toEqual([
      ['info', 400, 'ERR_REQUEST_INVALID', 'a request was refused before it was read: 400, the request is not clean HTTP/1.1'],
      ['info', 405, 'ERR_METHOD_NOT_ALLOWED', 'a request was refused before it was read: 405, CONNECT is not allowed'],
      ['info', 417, 'ERR_REQUEST_INVALID', 'a request was refused before it was read: 417, the only expectation met is 100-continue'],
    ])
  })

  it('with more headers than Node counts is still seen whole', async () => {
    const service = await echo()
    const { port } = await start({ max_header_bytes: 100_000, routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const many = Array.from({ length: 2_100 }, () => 'a:1\r\n').join('')
    const raw = await rawRequest(port, `GET / HTTP/1.1\r\n${CLOSE}${many}Host: evil\r\n\r\n`)
    expect(statusOf(raw)).toBe(400)
    expect(raw).toContain('host more than once')
  })
})

describe('an answer that clients could read differently', () => {
  it('becomes 502, and the service is asked again the next time', async () => {
    const service = await rawAnswer('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab')
    const { url, log } = await start({ routes: [{ path: '/', service: 'a', retries: 0 }] }, { a: [service.address] })
    for (const path of ['/', '/again']) {
      const answer = await fetch(`${url}${path}`)
      expect([answer.status, await answer.json()]).toMatchObject([502, { code: 'ERR_UPSTREAM_INVALID' }])
    }
    expect(log.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('is not believed to go on after its end', async () => {
    const service = await rawOrigin((socket) => {
      socket.on('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'),
      )
    })
    const { url } = await start({ routes: [{ path: '/', service: 'a', retries: 0 }] }, { a: [service.address] })
    for (let index = 0; index < 5; index += 1) expect(await (await fetch(url)).text()).toBe('ok')
  })

  it('may be preceded by 1xx, which are not taken for it', async () => {
    const service = await rawOrigin((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    })
    const { url } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    expect(await (await fetch(url)).text()).toBe('ok')
  })
})

describe('path bypasses', () => {
  it.each([
    '/pub/../admin',
    '/pub/%2e%2e/admin',
    '//admin',
    '/./admin',
    '/%61dmin',
    '/pub/..//admin',
    '/admin/',
    '/admin?x',
    '/pub/.%2E/%61d%6Din',
  ])('%s meets the plugins of /admin', async (path) => {
    const service = await echo()
    const routes = [
      { path: '/admin', service: 'a', plugins: [{ name: 'jwt' as const, config: { jwks: 'http://127.0.0.1:1/' } }] },
      { path: '/', service: 'a' },
    ]
    const { port } = await start({ routes }, { a: [service.address] })
    expect(statusOf(await rawRequest(port, `GET ${path} HTTP/1.1\r\n${CLOSE}\r\n`))).toBe(401)
  })
})

it.each([
  ['requests', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['requests with bodies', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na'],
])('takes no more %s of a connection than may wait for their answers, and the others when those are out', async (_, request) => {
  let asked = 0
  const waiting: (() => void)[] = []
  const hold: Plugin = {
    config: { kind: 'map', keys: {} },
    create: () => () => async (request) => {
      asked += 1
      const body = request.body.open()
      await new Promise<void>((resolve) => void waiting.push(resolve))
      await body
      return { status: 204, headers: [] }
    },
  }
  const { port } = await start(
    { routes: [{ path: '/', url: 'http://127.0.0.1:1', plugins: [{ name: 'test:hold' }] }] },
    {},
    { plugins: { 'test:hold': hold } },
  )
  const all = 20_000
  let answers = 0
  const client = connect(port, '127.0.0.1').setEncoding('latin1')
  client.on('data', (bytes: string) => {
    answers += bytes.split('HTTP/1.1 204').length - 1
  })
  onTestFinished(() => void client.destroy())
  const written = new Promise((resolve) => client.write(request.repeat(all), resolve))
  await until(() => asked > 0, 'the first')
  let before = -1
  while (before !== asked) {
    before = asked
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  // What has come with the last that may wait, a read of 64 KiB, has been taken apart as well.
  expect(asked).toBeLessThan(3_000)
  const letGo = setInterval(() => {
    for (const go of waiting.splice(0)) go()
  })
  onTestFinished(() => clearInterval(letGo))
  await written
  await until(() => asked === all, 'the rest')
  await until(() => answers >= all - 100, 'the answers')
})

it('keeps on serving after all of this', async () => {
  const { port, url, reached } = await guarded()
  for (let index = 0; index < 50; index += 1) {
    await rawRequest(port, `${String.fromCharCode(...Array.from({ length: 40 }, (_, at) => (index * 37 + at * 11) % 256))}\r\n\r\n`)
  }
  const response = await fetch(url)
  expect([response.status, reached()]).toEqual([200, 1])
})
