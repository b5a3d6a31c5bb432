import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { bodyOf, echo, origin, rawAnswer, rawOrigin, rawRequest, start, statusOf, until } from './test/harness.ts'

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

  it.each([
    ['at once', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\nX-Sum: 3\r\nX-Auth-Subject: a\r\n\r\n'],
    ['in parts', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n|0\r\nX-Sum: 3\r\nX-Auth-Subject: a\r\n\r\n'],
  ])('hands trailers that come %s on to who asks for them, but for what belongs before a body', async (_, bytes) => {
    const service = await rawOrigin((socket) => {
      const [first = '', second = ''] = bytes.split('|')
      socket.on('data', () => {
        socket.write(first)
        setTimeout(() => socket.write(second), 30)
      })
    })
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const asked = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n')
    expect(asked).toMatch(/3\r\nall\r\n0\r\nX-Sum: 3\r\n\r\n$/)
    const unasked = await rawRequest(port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(unasked).not.toContain('X-Sum')
    expect(unasked).toContain('all')
  })

  it('hands trailers of a request on, but for what belongs before a body, or says who calls', async () => {
    let received = ''
    const service = await rawOrigin((socket) => {
      socket.on('data', (bytes) => {
        received += bytes.toString('latin1')
        if (received.endsWith('\r\n\r\n') && received.includes('\r\n0\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      })
    })
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const bad = [
      ...['Authorization: a', 'Host: evil', 'Cookie: a=1', 'X-Auth-Subject: a', 'x_auth_subject: a', 'X-Forwarded-For: 10.0.0.1'],
      ...['X_Forwarded_For: 10.0.0.1', 'Forwarded: for=a', 'X-Request-Id: a', 'Idempotency-Key: a', 'Via: 1.1 a', 'If-Match: a'],
    ]
    const head = 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n'
    const raw = await rawRequest(port, `${head}3\r\nall\r\n0\r\nX-Sum: 3\r\n${bad.join('\r\n')}\r\n\r\n`)
    expect(statusOf(raw)).toBe(200)
    expect(received.slice(received.indexOf('\r\n\r\n') + 4)).toBe('3\r\nall\r\n0\r\nX-Sum: 3\r\n\r\n')
    // What says where a message ends has no meaning there, and Node's parser takes it for an attack.
    for (const framing of ['Content-Length: 1', 'Transfer-Encoding: chunked'])
      expect(statusOf(await rawRequest(port, `${head}3\r\nall\r\n0\r\n${framing}\r\n\r\n`))).toBe(400)
  })

  it('counts the time to an answer from the last byte of a body of unknown length', async () => {
    const service = await origin((request) => void request.resume())
    const { port } = await start({ routes: [{ path: '/', service: 'a', timeout_ms: 200, retries: 0 }] }, { a: [service.address] })
    const raw = await rawRequest(
      port,
      'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    )
    expect(statusOf(raw)).toBe(504)
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
