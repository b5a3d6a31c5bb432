import { describe, expect, it } from 'vitest'
import { type Echo, echo, origin, rawAnswer, rawOrigin, rawRequest, start, statusOf } from './test/harness.ts'

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
  it.each([
    ['two Hosts', `GET / HTTP/1.1\r\nHost: y\r\n${CLOSE}\r\n`, 400],
    ['no Host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['no Host in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 400],
    ['a Host that is none', 'GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n', 400],
    ['a Host with a path', 'GET / HTTP/1.1\r\nHost: x/y\r\nConnection: close\r\n\r\n', 400],
    ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n', 400],
    ['another authority than Host', `GET http://y/ HTTP/1.1\r\n${CLOSE}\r\n`, 400],
    [
      'Content-Length and Transfer-Encoding',
      `POST / HTTP/1.1\r\n${CLOSE}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    [
      'Transfer-Encoding and Content-Length',
      `POST / HTTP/1.1\r\n${CLOSE}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ['two lengths', `POST / HTTP/1.1\r\n${CLOSE}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde`, 400],
    ['one length twice', `POST / HTTP/1.1\r\n${CLOSE}Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd`, 400],
    ['a list of lengths', `POST / HTTP/1.1\r\n${CLOSE}Content-Length: 4, 4\r\n\r\nabcd`, 400],
    ['a negative length', `POST / HTTP/1.1\r\n${CLOSE}Content-Length: -1\r\n\r\n`, 400],
    ['a length with a sign', `POST / HTTP/1.1\r\n${CLOSE}Content-Length: +4\r\n\r\nabcd`, 400],
    ['chunked, with something before', `POST / HTTP/1.1\r\n${CLOSE}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
    ['chunked twice', `POST / HTTP/1.1\r\n${CLOSE}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['xchunked', `POST / HTTP/1.1\r\n${CLOSE}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
    ['identity', `POST / HTTP/1.1\r\n${CLOSE}Transfer-Encoding: identity\r\n\r\n`, 400],
    ['a blank before the colon', `POST / HTTP/1.1\r\n${CLOSE}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`, 400],
    ['chunks in HTTP/1.0', `POST / HTTP/1.0\r\n${CLOSE}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['a bad chunk size', `POST / HTTP/1.1\r\n${CLOSE}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n`, 400],
    ['a chunk size with 0x', `POST / HTTP/1.1\r\n${CLOSE}Transfer-Encoding: chunked\r\n\r\n0x4\r\nabcd\r\n0\r\n\r\n`, 400],
    ['a folded header', `GET / HTTP/1.1\r\n${CLOSE}X-A: 1\r\n 2\r\n\r\n`, 400],
    ['a NUL in a header', `GET / HTTP/1.1\r\n${CLOSE}X-A: 1\x002\r\n\r\n`, 400],
    ['a control character in a header', `GET / HTTP/1.1\r\n${CLOSE}X-A: 1\x012\r\n\r\n`, 400],
    [
      'a WebSocket handshake with a body',
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc',
      400,
    ],
    ['a bare CR in a header', `GET / HTTP/1.1\r\n${CLOSE}X-A: 1\r2\r\n\r\n`, 400],
    ['a bare LF after the request line', `GET / HTTP/1.1\n${CLOSE}\r\n`, 400],
    ['two Authorizations', `GET / HTTP/1.1\r\n${CLOSE}Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n`, 400],
    ['HTTP/2.0 by its name', `GET / HTTP/2.0\r\n${CLOSE}\r\n`, 400],
    ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['HTTP/0.9', 'GET /\r\n\r\n', 400],
    ['HTTP/0.9 with a bare LF', 'GET /\n', 400],
    ['HTTP/1.2', `GET / HTTP/1.2\r\n${CLOSE}\r\n`, 400],
    ['an unknown method', `GETT / HTTP/1.1\r\n${CLOSE}\r\n`, 400],
    ['TRACE', `TRACE / HTTP/1.1\r\n${CLOSE}\r\n`, 405],
    ['CONNECT', 'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n', 405],
    ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${CLOSE}\r\n`, 400],
    ['a backslash', `GET /a\\..\\b HTTP/1.1\r\n${CLOSE}\r\n`, 400],
    ['an encoded backslash', `GET /a%5c.. HTTP/1.1\r\n${CLOSE}\r\n`, 400],
    ['an encoded NUL', `GET /a%00 HTTP/1.1\r\n${CLOSE}\r\n`, 400],
    ['a bad escape', `GET /a%zz HTTP/1.1\r\n${CLOSE}\r\n`, 400],
    ['a fragment', `GET /a#b HTTP/1.1\r\n${CLOSE}\r\n`, 400],
    ['dots with parameters', `GET /a/..;/b HTTP/1.1\r\n${CLOSE}\r\n`, 400],
    ['another expectation', `POST / HTTP/1.1\r\n${CLOSE}Expect: tea\r\nContent-Length: 0\r\n\r\n`, 417],
    ['a head over the limit', `GET / HTTP/1.1\r\n${CLOSE}X-A: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['no HTTP at all', '\x16\x03\x01\x02\0\x01\0\r\n\r\n', 400],
  ])('is refused: %s', async (_, bytes, wanted) => {
    const { port, reached } = await guarded()
    const raw = await rawRequest(port, bytes)
    // Some are no more than an unknown version, or a head that never ends.
    expect([wanted, 505, 408]).toContain(statusOf(raw))
    expect(raw).toContain('"code":"ERR_')
    expect(raw).not.toMatch(/node:|\.ts:|at .*\(/)
    expect(reached()).toBe(0)
  })

  it('is never followed by a smuggled one: what stands after a refused body is not run', async () => {
    const { port, reached } = await guarded()
    const raw = await rawRequest(
      port,
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`,
    )
    expect(raw.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    expect(reached()).toBe(0)
  })

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

  it('with more headers than Node counts is still seen whole', async () => {
    const service = await echo()
    const { port } = await start({ max_header_bytes: 100_000, routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const many = Array.from({ length: 2_100 }, () => 'a:1\r\n').join('')
    const raw = await rawRequest(port, `GET / HTTP/1.1\r\n${CLOSE}${many}Host: evil\r\n\r\n`)
    expect(statusOf(raw)).toBe(400)
    expect(raw).toContain('host more than once')
  })

  it('may come as HTTP/1.0, and gets an answer that ends with the connection', async () => {
    const service = await origin((_, response) => {
      response.write('a')
      response.end('b')
    })
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const raw = await rawRequest(port, 'GET / HTTP/1.0\r\nHost: x\r\n\r\n')
    expect(raw).toMatch(/^HTTP\/1\.1 200 .*\r\n\r\nab$/s)
    expect(raw.toLowerCase()).not.toContain('transfer-encoding')
  })

  it('for another protocol is answered in this one', async () => {
    const service = await echo()
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const raw = await rawRequest(
      port,
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n',
    )
    expect(statusOf(raw)).toBe(200)
    expect((JSON.parse(raw.slice(raw.indexOf('{'))) as Echo).headers).not.toHaveProperty('upgrade')
  })
})

describe('an answer that clients could read differently', () => {
  it.each([
    ['chunked with a tab', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n1\r\na\r\n0\r\n\r\n'],
    ['gzip, chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n'],
    ['identity', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nabc'],
    ['chunked and a length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nab'],
    ['no HTTP', 'SSH-2.0-OpenSSH_9\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a NUL in a header', 'HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n'],
    ['a switch of protocols nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
    ['nothing', ''],
    ['half a head', 'HTTP/1.1 200 OK\r\nX-A:'],
    ['a head without end', `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`],
  ])('becomes 502: %s', async (_, bytes) => {
    const service = await rawAnswer(bytes)
    const { port, url, log } = await start({ routes: [{ path: '/', service: 'a', retries: 0 }] }, { a: [service.address] })
    const raw = await rawRequest(port, `GET / HTTP/1.1\r\n${CLOSE}\r\n`)
    expect(statusOf(raw)).toBe(502)
    expect(raw).toMatch(/"code":"ERR_UPSTREAM_(?:INVALID|FAILED)"/)
    expect(raw).not.toContain(service.address)
    expect(log.filter(({ level }) => level === 'error')).toEqual([])
    expect((await fetch(`${url}/again`)).status).toBe(502)
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

it('keeps on serving after all of this', async () => {
  const { port, url, reached } = await guarded()
  for (let index = 0; index < 50; index += 1) {
    await rawRequest(port, `${String.fromCharCode(...Array.from({ length: 40 }, (_, at) => (index * 37 + at * 11) % 256))}\r\n\r\n`)
  }
  const response = await fetch(url)
  expect([response.status, reached()]).toEqual([200, 1])
})
