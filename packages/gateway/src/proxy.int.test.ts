import { describe, expect, it } from 'vitest'
import { closedPort, type Echo, echo, rawAnswer, rawOrigin, rawRequest, start, statusOf } from './test/harness.ts'

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
    expect(seen).not.toMatch(/\r\nconnection:/i)
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

  it('says no length of an answer to HEAD that the service did not say', async () => {
    const silent = await rawAnswer('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n')
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [silent.address] })
    const raw = await rawRequest(port, 'HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect([statusOf(raw), /content-length/i.test(raw)]).toEqual([200, false])
  })

  it('is told about a loop before it spins', async () => {
    const port = await closedPort()
    await start({ routes: [{ path: '/', url: `http://127.0.0.1:${port}` }] }, {}, { port })
    const response = await fetch(`http://127.0.0.1:${port}/x`)
    expect(response.status).toBe(508)
    expect(await response.json()).toMatchObject({ code: 'ERR_LOOP' })
  })
})
