import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { bodyOf, closedPort, type Echo, echo, origin, rawAnswer, rawOrigin, rawRequest, start, statusOf, until } from './test/harness.ts'

const json = async <T = Echo>(response: Response) => (await response.json()) as T

describe('proxy', () => {
  it('forwards method, path, query, headers and body, and streams the answer back', async () => {
    const service = await echo()
    const { url } = await start({ routes: [{ path: '/api', service: 'a' }] }, { a: [service.address] })
    const response = await fetch(`${url}/api/x?a=1&a=2&b=%2e`, {
      method: 'POST',
      body: 'hello',
      headers: { 'x-own': 'yes', authorization: 'Basic x' },
    })
    const seen = await json(response)
    expect(response.status).toBe(200)
    expect(seen).toMatchObject({ method: 'POST', url: '/api/x?a=1&a=2&b=%2e', body: 'hello' })
    expect(seen.headers).toMatchObject({ 'x-own': 'yes', authorization: 'Basic x', 'content-length': '5', host: service.address })
  })

  it.each([
    ['strips the prefix', { strip_path: true }, '/api/orders/1?x', '/1?x'],
    ['strips all of it', { strip_path: true }, '/api/orders', '/'],
    ['puts another prefix in its place', { strip_path: true, upstream_path: '/orders' }, '/api/orders/1', '/orders/1'],
    ['puts another prefix in place of all of it', { strip_path: true, upstream_path: '/orders' }, '/api/orders?x', '/orders?x'],
    ['keeps the slash at the end', { strip_path: true, upstream_path: '/orders' }, '/api/orders/', '/orders/'],
    ['keeps the path', {}, '/api/orders/1', '/api/orders/1'],
    ['forwards the path that it matched', { strip_path: true }, '/x/../api//orders/./%61%2fb', '/a%2Fb'],
  ])('%s', async (_, more, path, wanted) => {
    const service = await echo()
    const { port } = await start({ routes: [{ path: '/api/orders', service: 'a', ...more }] }, { a: [service.address] })
    const raw = await rawRequest(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(JSON.parse(raw.slice(raw.indexOf('{'))) as Echo).toMatchObject({ url: wanted })
  })

  it('puts the path of a fixed address before, and parameters in', async () => {
    const service = await echo()
    const routes = [
      { path: '/legacy', url: `${service.url}/base/` },
      { path: '/users/{id}/orders', url: service.url, strip_path: true, upstream_path: '/customers/{id}' },
    ]
    const { url } = await start({ routes })
    expect(await json(await fetch(`${url}/legacy/a`))).toMatchObject({ url: '/base/legacy/a' })
    expect(await json(await fetch(`${url}/users/a%2F..%2Fb/orders/5`))).toMatchObject({ url: '/customers/a%2F..%2Fb/5' })
  })

  it('answers 404 for no route and 405 with Allow for no method', async () => {
    const { url } = await start({ routes: [{ path: '/a', methods: ['POST'], service: 'a' }] })
    const unknown = await fetch(`${url}/b`)
    expect([unknown.status, unknown.headers.get('content-type')]).toEqual([404, 'application/problem+json'])
    expect(await unknown.json()).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      code: 'ERR_ROUTE_UNKNOWN',
      detail: 'there is nothing at /b',
    })
    const refused = await fetch(`${url}/a`)
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'POST'])
  })

  it('strips hop-by-hop headers and those that Connection names, both ways, but never what the service decides by', async () => {
    const service = await rawOrigin((socket) => {
      let seen = ''
      socket.on('data', (chunk) => {
        seen += chunk.toString('latin1')
        if (!seen.includes('\r\n\r\n')) return
        const body = seen
        socket.end(
          `HTTP/1.1 200 OK\r\nConnection: X-Secret, close\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nX-Open: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        )
      })
    })
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const raw = await rawRequest(
      port,
      'GET / HTTP/1.1\r\nHost: shop\r\ncOnnection: close, x-drop, AUTHORIZATION, X-Forwarded-For, cookie\r\nX-Drop: 1\r\nAuthorization: Bearer t\r\nCookie: c=1\r\nTE: trailers\r\nProxy-Authorization: p\r\nUpgrade: h2c\r\nHTTP2-Settings: s\r\n\r\n',
    )
    const [head = '', seen = ''] = raw.split(/\r\n\r\n(.*)/s)
    expect(seen).toMatch(/\r\nAuthorization: Bearer t\r\n/)
    expect(seen).toMatch(/\r\nCookie: c=1\r\n/)
    expect(seen).toMatch(/\r\nx-forwarded-for: 127\.0\.0\.1\r\n/)
    expect(seen).toMatch(/\r\nconnection: keep-alive\r\n/)
    expect(seen).not.toMatch(/x-drop|\bTE:|proxy-authorization|h2c|http2-settings/i)
    expect(head).not.toMatch(/x-secret|timeout=5|proxy-authenticate/i)
    expect(head).toMatch(/X-Open: 2/)
    expect(head.match(/Set-Cookie/g)).toHaveLength(2)
  })

  it('says where a request came from, and drops what an untrusted client says about it', async () => {
    const service = await echo()
    const { url } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const lies = {
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil',
      'x-forwarded-prefix': '/x',
      forwarded: 'for=6.6.6.6',
      'x-real-ip': '6.6.6.6',
      'x-auth-subject': 'root',
      'x-auth-claims': 'e30',
      'x-original-url': '/admin',
    }
    const { headers, raw } = await json(await fetch(url, { headers: lies }))
    expect(headers).toMatchObject({ 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http', 'x-forwarded-host': new URL(url).host })
    expect(raw.join('\n')).not.toMatch(/6\.6\.6\.6|evil|root|e30|\/admin|prefix/)
  })

  it('drops forged identity headers spelled with underscores', async () => {
    const service = await echo()
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const raw = await rawRequest(
      port,
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX_Auth_Subject: root\r\nX-AUTH-subject: root\r\n\r\n',
    )
    expect(raw).not.toContain('root')
  })

  it('believes trusted proxies, up to the nearest address that is none', async () => {
    const service = await echo()
    const { url } = await start(
      { trusted_proxies: ['127.0.0.0/8', '10.0.0.0/8'], routes: [{ path: '/', service: 'a' }] },
      { a: [service.address] },
    )
    const { headers } = await json(
      await fetch(url, {
        headers: { 'x-forwarded-for': '6.6.6.6, 9.9.9.9, 10.1.1.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop' },
      }),
    )
    expect(headers).toMatchObject({
      'x-forwarded-for': '6.6.6.6, 9.9.9.9, 10.1.1.1, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'shop',
    })
  })

  it('hands on a request id and the trace context, and the Host only when told to', async () => {
    const service = await echo()
    const routes = [
      { path: '/', service: 'a' },
      { path: '/keep', service: 'a', preserve_host: true },
    ]
    const { url, log } = await start({ routes }, { a: [service.address] })
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const response = await fetch(url, { headers: { 'x-request-id': 'my-1', traceparent, tracestate: 'a=b' } })
    expect((await json(response)).headers).toMatchObject({ 'x-request-id': 'my-1', traceparent, tracestate: 'a=b' })
    expect(response.headers.get('x-request-id')).toBe('my-1')
    const other = await fetch(`${url}/keep`, { headers: { 'x-request-id': 'not "clean"' } })
    expect(other.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}\.2$/)
    expect((await json(other)).headers.host).toBe(new URL(url).host)
    const [line] = log.filter(({ requestId }) => requestId === 'my-1')
    expect(line).toMatchObject({
      level: 'info',
      method: 'GET',
      path: '/',
      status: 200,
      route: '/',
      upstream: `a@${service.address}`,
      traceId: '0af7651916cd43dd8448eb211c80319c',
    })
  })

  it('hands on how long there is', async () => {
    const service = await echo()
    const { url } = await start({ routes: [{ path: '/', service: 'a', timeout_ms: 3_000 }] }, { a: [service.address] })
    const own = await json(await fetch(url))
    expect(Number(own.headers['x-timeout-ms'])).toBeGreaterThan(2_000)
    expect(Number(own.headers['x-timeout-ms'])).toBeLessThanOrEqual(3_000)
    const less = await json(await fetch(url, { headers: { 'x-timeout-ms': '500' } }))
    expect(Number(less.headers['x-timeout-ms'])).toBeLessThanOrEqual(500)
  })

  it('sends the body of a GET with its length, and HEAD answers without one', async () => {
    const service = await echo()
    const { port, url } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const raw = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello')
    expect(JSON.parse(raw.slice(raw.indexOf('{')))).toMatchObject({ body: 'hello' })
    const head = await fetch(url, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([200, 'application/json', ''])
  })

  it('is told about a loop before it spins', async () => {
    const port = await closedPort()
    await start({ routes: [{ path: '/', url: `http://127.0.0.1:${port}` }] }, {}, { port })
    const response = await fetch(`http://127.0.0.1:${port}/x`)
    expect(response.status).toBe(508)
    expect(await response.json()).toMatchObject({ code: 'ERR_LOOP' })
  })
})

describe('streaming', () => {
  it('passes 64 MiB both ways unchanged', async () => {
    const service = await origin((request, response) => void request.pipe(response))
    const { port } = await start({ max_body_bytes: 100_000_000, routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const chunk = randomBytes(1_048_576)
    const sent = createHash('sha256')
    const got = createHash('sha256')
    let bytes = 0
    const request = httpRequest({ port, method: 'POST', path: '/' })
    const answered = once(request, 'response')
    const write = async () => {
      for (let index = 0; index < 64; index += 1) {
        sent.update(chunk)
        if (!request.write(chunk)) await once(request, 'drain')
      }
      request.end()
    }
    const writing = write()
    const [response] = await answered
    for await (const part of response) {
      got.update(part)
      bytes += part.length
    }
    await writing
    expect(bytes).toBe(64 * 1_048_576)
    expect(got.digest('hex')).toBe(sent.digest('hex'))
  })

  it('stops taking from the client when the service does not take', async () => {
    const service = await rawOrigin((socket) => void socket.pause())
    const { port } = await start({ max_body_bytes: 1_000_000_000, routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), randomBytes(1_048_576), Buffer.from('\r\n')])
    let written = 0
    for (let stuck = false; !stuck && written < 200; written += 1) {
      if (!socket.write(chunk))
        stuck = !(await Promise.race([
          once(socket, 'drain').then(() => true),
          new Promise<boolean>((resolve) => setTimeout(resolve, 400, false)),
        ]))
    }
    expect(written).toBeLessThan(60)
    socket.destroy()
  })

  it('stops taking from the service when the client does not take', async () => {
    let written = 0
    let stuck = false
    const service = await origin((_, response) => {
      const chunk = Buffer.alloc(1_048_576)
      const more = () => {
        while (written < 400) {
          written += 1
          if (!response.write(chunk)) {
            const timer = setTimeout(() => {
              stuck = true
            }, 400)
            response.once('drain', () => {
              clearTimeout(timer)
              more()
            })
            return
          }
        }
      }
      more()
    })
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => stuck, 'the service to be held back')
    expect(written).toBeLessThan(60)
    socket.destroy()
  })

  it('lets the service answer before the request has ended, and events through at once', async () => {
    const service = await origin((request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      request.on('data', (chunk: Buffer) => response.write(`data: ${chunk}\n\n`))
      request.on('end', () => response.end())
    })
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const request = httpRequest({ port, method: 'POST', path: '/' })
    request.write('one')
    const [response] = await once(request, 'response')
    expect(String((await once(response, 'data'))[0])).toBe('data: one\n\n')
    request.write('two')
    expect(String((await once(response, 'data'))[0])).toBe('data: two\n\n')
    request.end()
    await once(response, 'end')
  })

  it('ends the request to the service when the client leaves', async () => {
    let left = 0
    const service = await origin((_, response) => {
      response.on('close', () => {
        left += response.writableFinished ? 0 : 1
      })
    })
    const { port, log } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const socket = connect(port, '127.0.0.1')
    const arrived = once(service.server, 'request')
    socket.write('GET /wait HTTP/1.1\r\nHost: x\r\n\r\n')
    await arrived
    socket.destroy()
    await until(() => left === 1, 'the service to see its client leave')
    await until(() => log.some(({ status }) => status === 499), 'the log line')
    expect(log.find(({ status }) => status === 499)).toMatchObject({ end: 'gone' })
  })

  it.each([
    ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this'],
    ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n'],
  ])('cuts the client when an answer with %s is cut, and forges no end', async (_, bytes) => {
    const service = await rawAnswer(bytes)
    const { port, log } = await start({ routes: [{ path: '/', service: 'a', retries: 0 }] }, { a: [service.address] })
    const raw = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(raw).toContain('only this')
    expect(raw).not.toMatch(/\r\n0\r\n\r\n$/)
    await until(() => log.some(({ end }) => end === 'cut'), 'the log line')
  })

  it('sends an answer that ends with its connection as a whole one', async () => {
    const service = await rawAnswer('HTTP/1.1 200 OK\r\n\r\nall of it')
    const { url } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    expect(await (await fetch(url)).text()).toBe('all of it')
  })
})

describe('bodies', () => {
  it.each([
    ['announced', 'Content-Length: 200000\r\n\r\n'],
    ['in chunks', `Transfer-Encoding: chunked\r\n\r\n30d40\r\n${'x'.repeat(200_000)}\r\n0\r\n\r\n`],
  ])('larger than the limit get 413, %s', async (_, rest) => {
    const service = await echo()
    const { port } = await start({ max_body_bytes: 100_000, routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const raw = await rawRequest(port, `POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${rest}`)
    expect(statusOf(raw)).toBe(413)
    expect(raw).toContain('"code":"ERR_BODY_TOO_LARGE"')
    expect(raw).toContain('larger than 100000 bytes')
  })

  it('may have the limit of their route', async () => {
    const service = await echo()
    const routes = [
      { path: '/', service: 'a' },
      { path: '/big', service: 'a', max_body_bytes: 1_000 },
    ]
    const { url } = await start({ max_body_bytes: 10, routes }, { a: [service.address] })
    const send = (path: string) => fetch(`${url}${path}`, { method: 'POST', body: 'x'.repeat(500) })
    expect([(await send('/')).status, (await send('/big')).status]).toEqual([413, 200])
  })

  it('are asked for by 100 Continue when they are wanted, and only then', async () => {
    const service = await echo()
    const { port } = await start({ max_body_bytes: 10, routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const small = httpRequest({ port, method: 'POST', headers: { expect: '100-continue', 'content-length': 5 } })
    small.flushHeaders()
    await once(small, 'continue')
    small.end('hello')
    const [response] = await once(small, 'response')
    expect(JSON.parse(await bodyOf(response))).toMatchObject({ body: 'hello' })

    const raw = await rawRequest(port, 'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n')
    expect(raw).toMatch(/^HTTP\/1\.1 413 /)
    expect(raw.toLowerCase()).toContain('connection: close')
  })

  it('of 3 MB that curl announces with Expect go through', async () => {
    const service = await origin(async (request, response) => response.end(String((await bodyOf(request)).length)))
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const request = httpRequest({ port, method: 'POST', headers: { expect: '100-continue', 'content-length': 3_000_000 } })
    request.flushHeaders()
    await once(request, 'continue')
    request.end(Buffer.alloc(3_000_000, 'x'))
    const [response] = await once(request, 'response')
    expect(await bodyOf(response)).toBe('3000000')
  })

  it('still on their way do not swallow the answer', async () => {
    const { url } = await start({
      routes: [{ path: '/', url: 'http://127.0.0.1:1', plugins: [{ name: 'jwt', config: { jwks: 'http://127.0.0.1:1/' } }] }],
    })
    const response = await fetch(url, { method: 'POST', body: Buffer.alloc(5_000_000) })
    expect(response.status).toBe(401)
  })

  it('leave the connection fit for the next request', async () => {
    const service = await echo()
    const { port } = await start(
      {
        routes: [
          { path: '/', service: 'a' },
          { path: '/none', methods: ['GET'], service: 'a' },
        ],
      },
      { a: [service.address] },
    )
    const raw = await rawRequest(
      port,
      'POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n',
      () => new Promise((resolve) => setTimeout(resolve, 100)),
      'helloPOST /next HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes',
    )
    expect(raw).toMatch(/^HTTP\/1\.1 200/)
    expect(raw).toContain('"url":"/none"')
    expect(raw).toContain('"url":"/next"')
    expect(raw).toContain('"body":"yes"')
  })
})
