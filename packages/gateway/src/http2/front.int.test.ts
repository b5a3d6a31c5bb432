import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { request } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger, systemWorld } from '@banyan/core'
import { type Attributes, type Meter, metrics } from '@opentelemetry/api'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { GatewayConfig } from '../config.ts'
import { type HeaderList, headerOf, headerValues } from '../headers.ts'
import { noBody } from '../request-body.ts'
import { CA, SERVER } from '../test/certificates.ts'
import { bodyOf, type Echo, echo, origin, rawAnswer, rawOrigin, start, until } from '../test/harness.ts'
import { http2Front } from './front.ts'

/** A gateway that offers HTTP/2, and a connection to it. */
async function offered(url: string, more: Partial<GatewayConfig> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-h2-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  writeFileSync(cert, SERVER.cert)
  writeFileSync(key, SERVER.key)
  const running = await start({ tls: { cert, key, http2: true }, routes: [{ path: '/', url }], ...more })
  const session = connect(running.url, { ca: CA })
  // A gateway that cuts the connection is what some tests wait for; they look at what closed.
  session.on('error', () => undefined)
  onTestFinished(() => session.destroy())
  return { ...running, session }
}

/** One request; rejects when the stream is reset. */
async function call(session: ClientHttp2Session, fields: OutgoingHttpHeaders, body?: string | Buffer) {
  const stream = session.request(fields, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  // The types of events are loose: 'response' brings the head.
  const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return { status: head[':status'], head, text: Buffer.concat(chunks).toString() }
}

describe('a gateway that offers HTTP/2', () => {
  it('takes requests, many on a connection, and says where they came from', async () => {
    const { session } = await offered((await echo()).url)
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        call(session, { ':path': `/a/../b/${index}?q=1`, ':method': 'POST', cookie: ['a=1', 'b=2'] }, `body ${index}`),
      ),
    )
    answers.forEach(({ status, text }, index) => {
      const seen = JSON.parse(text) as Echo
      expect([status, seen.url, seen.body]).toEqual([200, `/b/${index}?q=1`, `body ${index}`])
      expect(seen.headers).toMatchObject({ 'x-forwarded-proto': 'https', cookie: 'a=1; b=2' })
      expect(seen.headers.via).toMatch(/^2 gateway-/)
    })
  })

  it('measures methods that nobody knows as one, however many a client makes up', async () => {
    const measured: Attributes[] = []
    const record = (_: number, attributes: Attributes = {}) => void measured.push(attributes)
    // Only what the gateway uses of a meter.
    const meter = { createHistogram: () => ({ record }), createCounter: () => ({ add: () => undefined }) } as unknown as Meter
    metrics.setGlobalMeterProvider({ getMeter: () => meter })
    onTestFinished(() => metrics.disable())
    const { session } = await offered((await echo()).url)
    for (const method of ['MADE', 'UP', 'GET']) await call(session, { ':method': method })
    await until(() => measured.filter((each) => 'http.route' in each).length === 3, 'the metrics')
    expect(new Set(measured.map((each) => each['http.request.method']))).toEqual(new Set(['_OTHER', 'GET']))
  })

  it('speaks HTTP/1.1 on the same port', async () => {
    const { url } = await offered((await echo()).url)
    const status = await new Promise((resolve, reject) => {
      request(url, { ca: CA, agent: false }, (response) =>
        bodyOf(response).then(() => resolve([response.statusCode, response.httpVersion]), reject),
      ).end()
    })
    expect(status).toEqual([200, '1.1'])
  })

  it('refuses what may not be said in HTTP/2', async () => {
    const { session, log } = await offered((await echo()).url)
    expect((await call(session, { ':authority': 'shop.example', host: 'other.example' })).status).toBe(400)
    expect(log.map(({ status, message }) => [status, message])).toEqual([
      [400, 'a request was refused before it was read: 400, the :authority names another host than the Host header'],
    ])
    expect((await call(session, { ':path': '/%00' })).status).toBe(400)
    expect((await call(session, { ':method': 'TRACE' })).status).toBe(405)
    expect((await call(session, { 'x-auth-subject': 'forged' })).text).not.toContain('forged')
    expect((await call(session, {})).status).toBe(200)
  })

  it('hands the trailers of a request on', async () => {
    const service = await origin((request, response) => {
      request.resume().on('end', () => response.end(JSON.stringify(request.rawTrailers)))
    })
    const { session } = await offered(service.url)
    const stream = session.request({ ':method': 'POST' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '3', authorization: 'a', x_auth_subject: 'a' }))
    stream.end('all')
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    expect(JSON.parse(Buffer.concat(chunks).toString())).toEqual(['x-sum', '3'])
  })

  it('hands headers and trailers on that a service says twice, although Node has them come once', async () => {
    const head = 'HTTP/1.1 200 OK\r\nAge: 1\r\nETag: a\r\nAge: 2\r\nTransfer-Encoding: chunked\r\n\r\n'
    const { address } = await rawAnswer(`${head}3\r\nall\r\n0\r\nAge: 3\r\nX-Sum: 3\r\nAge: 4\r\n\r\n`)
    const { session } = await offered(`http://${address}`)
    const stream = session.request({})
    const [fields, trailers, text] = await Promise.all([
      once(stream, 'response').then(([, , raw]) => raw as HeaderList),
      once(stream, 'trailers').then(([, , raw]) => raw as HeaderList),
      stream.setEncoding('utf8').reduce((before: string, part: string) => before + part, ''),
    ])
    expect([headerValues(fields, 'age'), headerValues(trailers, 'age'), text]).toEqual([['1', '2'], ['3', '4'], 'all'])
    expect(headerOf(trailers, 'x-sum')).toBe('3')
  })

  it.each(['constructor', '__proto__', 'toString'])('hands a header with the name %s on as any other', async (name) => {
    const { address } = await rawAnswer(`HTTP/1.1 200 OK\r\n${name}: a\r\n${name}: b\r\nContent-Length: 0\r\n\r\n`)
    const { session } = await offered(`http://${address}`)
    const [, , fields] = await once(session.request({}), 'response')
    expect(headerValues(fields, name.toLowerCase())).toEqual(['a', 'b'])
  })

  it.each([
    ['a status that HTTP/2 has not', 'HTTP/1.1 600 Odd\r\nContent-Length: 3\r\n\r\nodd'],
    ['the same while its body comes', 'HTTP/1.1 600 Odd\r\nContent-Length: 9\r\n\r\nodd'],
  ])('answers 502 in place of an answer with %s, and holds on to nothing of it', async (_, bytes) => {
    let isLeft = false
    const { address } = await rawOrigin((socket) => {
      socket
        .on('data', () => socket.write(bytes))
        .on('close', () => {
          isLeft = true
        })
    })
    const { session, log } = await offered(`http://${address}`)
    const { status, text } = await call(session, {})
    expect([status, JSON.parse(text)]).toMatchObject([502, { code: 'ERR_UPSTREAM_INVALID' }])
    expect((await call(session, { ':method': 'HEAD' })).status).toBe(502)
    await until(() => log.filter(({ status: logged }) => logged === 502).length === 2, 'the log lines')
    if (bytes.includes('9')) await until(() => isLeft, 'the connection to the service to be closed')
  })

  it('streams bodies both ways unchanged, and answers HEAD without one', async () => {
    const { url } = await origin((incoming, outgoing) => void incoming.pipe(outgoing))
    const { session } = await offered(url)
    const body = Buffer.alloc(5_000_000, 'banyan')
    const { text } = await call(session, { ':method': 'POST' }, body)
    expect(text === body.toString()).toBe(true)
    expect(await call(session, { ':method': 'HEAD' })).toMatchObject({ status: 200, text: '' })
  })

  it('answers a body that is too large and has the client stop', async () => {
    const { session } = await offered((await echo()).url, { max_body_bytes: 1_000 })
    const stream = session.request({ ':method': 'POST' }, { endStream: false })
    stream.on('error', () => undefined)
    stream.write(Buffer.alloc(60_000))
    const [head] = await once(stream, 'response')
    expect(head[':status']).toBe(413)
    stream.resume()
    await once(stream, 'close')
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR)
  })

  it('resets a stream whose request does not come to its end in time', async () => {
    const { session } = await offered((await echo()).url, { request_timeout_ms: 200, headers_timeout_ms: 200 })
    const stream = session.request({ ':method': 'POST', 'content-length': '10' }, { endStream: false })
    stream.on('error', () => undefined)
    stream.write('half')
    await once(stream, 'close')
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL)
    expect((await call(session, {})).status).toBe(200)
  })

  it('resets a stream whose answer is cut short', async () => {
    const { url } = await origin((_, outgoing) => {
      outgoing.writeHead(200, { 'content-length': '1000' })
      outgoing.write('half', () => outgoing.destroy())
    })
    const { session } = await offered(url)
    await expect(call(session, {})).rejects.toThrow()
    expect(session.destroyed).toBe(false)
  })

  it('ends the request to the service when the client resets the stream', async () => {
    let isCut = false
    const { url } = await origin((incoming) => {
      incoming.socket.on('close', () => {
        isCut = true
      })
      stream.close(constants.NGHTTP2_CANCEL)
    })
    const { session } = await offered(url)
    const stream = session.request({})
    await until(() => isCut, 'the service to see that the client has gone')
  })

  it('closes a connection that keeps resetting streams', async () => {
    const { url } = await origin(() => undefined)
    const { session } = await offered(url)
    const goaway = once(session, 'goaway')
    for (let round = 0; round < 20 && !session.destroyed && !session.closed; round += 1) {
      const streams = Array.from({ length: 50 }, () => session.request({}).on('error', () => undefined))
      // An answer to a ping comes when the requests before it have been read.
      await new Promise((resolve) => session.once('close', resolve).ping(resolve))
      await Promise.all(
        streams.map((stream) => {
          stream.close(constants.NGHTTP2_CANCEL)
          return stream.closed && stream.destroyed ? undefined : once(stream, 'close')
        }),
      )
    }
    const [code] = await goaway
    expect(code).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  })

  it('does not take the answers that a service cuts for resets of the client', async () => {
    const { url } = await origin((_, outgoing) => {
      outgoing.writeHead(200, { 'content-length': '1000' })
      outgoing.write('half', () => outgoing.destroy())
    })
    const { session } = await offered(url, { breaker: { minimum_calls: 1_000_000 } })
    for (let sent = 0; sent < 250; sent += 50) {
      const cut = await Promise.allSettled(Array.from({ length: 50 }, () => call(session, {})))
      expect(cut.every(({ status }) => status === 'rejected')).toBe(true)
    }
    expect([session.closed, session.destroyed]).toEqual([false, false])
  })

  it('lets no more than 100 streams be open at once', async () => {
    const { session } = await offered((await echo()).url)
    await once(session, 'remoteSettings')
    expect(session.remoteSettings).toMatchObject({ maxConcurrentStreams: 100, maxHeaderListSize: 16_384, enableConnectProtocol: false })
    expect((await call(session, { 'x-large': 'x'.repeat(20_000) }).catch(() => ({ status: 431 }))).status).toBe(431)
  })

  it('finishes what is under way when it stops', async () => {
    let answer = () => {}
    const { url } = await origin((_, outgoing) => {
      answer = () => outgoing.end('late')
      outgoing.flushHeaders()
    })
    const { session, gateway } = await offered(url, { drain_ms: 5_000 })
    const stream = session.request({})
    await once(stream, 'response')
    const goaway = once(session, 'goaway')
    const stopped = gateway.stop()
    await goaway
    answer()
    let text = ''
    for await (const chunk of stream) text += chunk
    expect(text).toBe('late')
    await stopped
  })
})

const frame = (type: number, flags: number, stream: number, payload: string) => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length / 2, 0, 3)
  head.set([type, flags], 3)
  head.writeUInt32BE(stream, 5)
  return head.toString('hex') + payload
}

/** A client that makes so many requests and takes nothing of their answers, but lets the other side send as much as it will. */
function greedy(port: number, requests: number): void {
  const client = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined)
  onTestFinished(() => void client.destroy())
  // Windows as large as may be, then requests: `GET / http` of the static table, and an `:authority`.
  const frames = [frame(4, 0, 0, '00047fffffff'), frame(8, 0, 0, '7fff0000')]
  for (let index = 0; index < requests; index += 1) frames.push(frame(1, 5, 1 + 2 * index, '828486010178'))
  client.pause().write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from(frames.join(''), 'hex')]))
}

describe('a client that takes nothing of what its connection has', () => {
  it.each([
    ['while its answers wait', 90],
    ['when all have gone out, although it does not close its side', 1],
  ])('is left %s and nothing moves for long', async (_, requests) => {
    const front = http2Front({
      maxHeaderBytes: 16_384,
      keepAliveMs: 200,
      requestTimeoutMs: 1_000,
      handle: async () => ({
        response: { status: 200, headers: [], body: Buffer.alloc(60_000) },
        body: noBody,
        idleTimeoutMs: 10_000,
        finish: () => undefined,
      }),
      world: systemWorld,
      log: silentLogger,
    })
    let isClosed = false
    const { port } = await rawOrigin((socket) => {
      socket.pause().on('close', () => {
        isClosed = true
      })
      front.take(socket)
    })
    greedy(port, requests)
    await until(() => isClosed, 'the connection to be closed')
  })

  it('does not keep the gateway from stopping', async () => {
    const { url } = await origin((_, outgoing) => void outgoing.end(Buffer.alloc(60_000)))
    const { gateway, port, log } = await start({ h2c: true, drain_ms: 100, routes: [{ path: '/', url }] })
    greedy(port, 90)
    await until(() => log.filter(({ status }) => status === 200).length === 90, 'all answers')
    let hasStopped = false
    void gateway.stop().then(() => {
      hasStopped = true
    })
    await until(() => hasStopped, 'the gateway to stop')
  })
})
