import { constants, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { manualWorld, systemWorld } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CA } from '../test/certificates.ts'
import { closedPort, rawOrigin, until } from '../test/harness.ts'
import { http2Origin } from '../test/http2-origin.ts'
import type { UpstreamAnswer, UpstreamClient, UpstreamRequest } from '../upstream-client.ts'
import { type Http2ClientOptions, http2Client } from './client.ts'

function open(options: Http2ClientOptions = {}): UpstreamClient {
  const client = http2Client(options)
  onTestFinished(() => client.close())
  return client
}

function get(origin: string, more: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return {
    origin,
    method: 'GET',
    path: '/',
    headers: [],
    body: undefined,
    cancellation: new Cancellation(systemWorld),
    idleTimeoutMs: 5_000,
    isUpgrade: false,
    ...more,
  }
}

async function textOf({ body }: UpstreamAnswer): Promise<string> {
  return body instanceof Readable ? text(body) : Buffer.from(body ?? []).toString()
}

/** Answers each request with what it saw of it. */
async function echo(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
  const body = await text(stream)
  stream.respond({ ':status': 200, 'x-twice': ['a', 'b'] })
  stream.end(JSON.stringify({ headers, body }))
}

describe('a request over HTTP/2', () => {
  it('has its host as the authority, and nothing of HTTP/1.1', async () => {
    const { url } = await http2Origin(echo)
    const headers = ['Host', 'shop.example', 'X-A', '1', 'x-a', '2', 'Connection', 'x', 'Transfer-Encoding', 'chunked', 'te', 'trailers']
    const answer = await open().send(get(url, { method: 'POST', path: '/a?b=1&b=2', headers, body: Buffer.from('body') }))
    expect(answer.status).toBe(200)
    expect(answer.headers.join()).toContain('x-twice,a,x-twice,b')
    expect(JSON.parse(await textOf(answer))).toMatchObject({
      headers: { ':method': 'POST', ':path': '/a?b=1&b=2', ':authority': 'shop.example', ':scheme': 'http', 'x-a': '1, 2', te: 'trailers' },
      body: 'body',
    })
  })

  it('has its headers as they came, also those that Node has come once, and those that are named as members of objects', async () => {
    let seen: readonly string[] = []
    const { url } = await http2Origin((stream, _, fields) => {
      seen = fields
      stream.respond({ ':status': 204 }, { endStream: true })
    })
    const headers = ['User-Agent', 'a', 'user-agent', 'b', 'constructor', 'c', '__proto__', 'd', '__proto__', 'e']
    expect((await open().send(get(url, { headers }))).status).toBe(204)
    expect(seen.slice(-10)).toEqual(headers.map((text) => text.toLowerCase()))
  })

  it('shares its connection with others', async () => {
    const upstream = await http2Origin(echo)
    const client = open()
    const answers = await Promise.all(Array.from({ length: 60 }, (_, index) => client.send(get(upstream.url, { path: `/${index}` }))))
    const paths = await Promise.all(answers.map(async (answer) => JSON.parse(await textOf(answer)).headers[':path']))
    expect(paths).toEqual(Array.from({ length: 60 }, (_, index) => `/${index}`))
    expect(upstream.sessions.size).toBe(1)
  })

  it('takes another connection when the upstream takes no more on one', async () => {
    const held: ServerHttp2Stream[] = []
    const upstream = await http2Origin((stream) => void held.push(stream), { maxConcurrentStreams: 2 })
    const client = open({ maxSessions: 3 })
    const first = client.send(get(upstream.url))
    await until(() => held.length === 1, 'the first request')
    const others = Array.from({ length: 5 }, () => client.send(get(upstream.url)))
    await until(() => held.length === 6, 'all requests')
    expect(upstream.sessions.size).toBe(3)
    for (const stream of held) stream.respond({ ':status': 204 }, { endStream: true })
    expect((await Promise.all([first, ...others])).map(({ status }) => status)).toEqual([204, 204, 204, 204, 204, 204])
  })

  it('streams its body while the answer comes, and hands trailers on', async () => {
    const { url } = await http2Origin((stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '3' }))
      stream.pipe(stream)
    })
    const body = new Readable({ read() {} })
    const answer = await open().send(get(url, { method: 'POST', body }))
    const seen: string[] = []
    const answered = answer.body as Readable
    answered.on('data', (chunk) => seen.push(String(chunk)))
    for (const part of ['a', 'b', 'c']) {
      body.push(part)
      await until(() => seen.includes(part), `the echo of ${part}`)
    }
    const over = new Promise((resolve) => answered.once('end', resolve))
    body.push(null)
    await over
    expect(answer.trailers?.()).toEqual(['x-sum', '3'])
  })

  it('hears of 103', async () => {
    const { url } = await http2Origin((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a.css>; rel=preload' })
      stream.respond({ ':status': 200 }, { endStream: true })
    })
    const hints: unknown[] = []
    const answer = await open().send(get(url, { onInterim: (...hint) => hints.push(hint) }))
    expect([answer.status, answer.body, hints]).toEqual([200, undefined, [[103, ['link', '</a.css>; rel=preload']]]])
  })

  it('is refused when it is a WebSocket handshake or has what cannot be sent', async () => {
    const { url } = await http2Origin(echo)
    await expect(open().send(get(url, { isUpgrade: true }))).rejects.toMatchObject({ code: 'ERR_UPGRADE_REFUSED', status: 400 })
    await expect(open().send(get(url, { headers: ['x', 'a\nb'] }))).rejects.toMatchObject({ code: 'ERR_REQUEST_INVALID', status: 400 })
  })

  it('goes over TLS with ALPN, to whom the certificate is for', async () => {
    const { port } = await http2Origin(echo, { isTls: true })
    await expect(open().send(get(`https://127.0.0.1:${port}`))).rejects.toMatchObject({ code: 'ERR_UPSTREAM_UNREACHABLE' })
    const before = getCACertificates('default')
    onTestFinished(() => setDefaultCACertificates(before))
    setDefaultCACertificates([CA])
    const answer = await open().send(get(`https://localhost:${port}`))
    expect(JSON.parse(await textOf(answer)).headers[':scheme']).toBe('https')
  })
})

describe('an upstream of HTTP/2 that fails', () => {
  it('says 103 again and again, and never comes to its point', async () => {
    let said = 0
    const { url } = await http2Origin((stream) => {
      const more = () => {
        if (stream.destroyed || stream.closed || said === 1_000) return
        said += 1
        stream.additionalHeaders({ ':status': 103, link: '</a.css>' })
        setImmediate(more)
      }
      more()
    })
    let heard = 0
    const onInterim = () => {
      heard += 1
    }
    const cancellation = new Cancellation(systemWorld)
    const sent = open().send(get(url, { onInterim, cancellation }))
    void until(() => said === 1_000, 'the last of them').then(
      () => cancellation.abort(new Error('listens for ever')),
      () => undefined,
    )
    await expect(sent).rejects.toMatchObject({ code: 'ERR_UPSTREAM_INVALID' })
    expect(heard).toBe(16)
  })

  it('cannot be reached', async () => {
    const port = await closedPort()
    await expect(open().send(get(`http://127.0.0.1:${port}`))).rejects.toMatchObject({ code: 'ERR_UPSTREAM_UNREACHABLE' })
  })

  it('takes too long to connect', async () => {
    const world = manualWorld()
    // Nobody answers there: RFC 5737.
    const sent = open({ world, connectTimeoutMs: 500 }).send(get('https://192.0.2.1:1'))
    const failed = expect(sent).rejects.toThrow(/cannot be reached/)
    await world.advance(500)
    await failed
  })

  it('did not take a request that it refused, so that it may be sent again', async () => {
    const { url } = await http2Origin((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM))
    await expect(open().send(get(url, { method: 'POST' }))).rejects.toMatchObject({ code: 'ERR_UPSTREAM_UNREACHABLE' })
  })

  it.each([
    ['resets the stream', (stream: ServerHttp2Stream) => stream.destroy(new Error('a fault'))],
    ['cuts the connection', (stream: ServerHttp2Stream) => stream.session?.socket.destroy()],
  ])('%s: before the head the request fails, within the body it is cut', async (_, fault) => {
    const { url } = await http2Origin((stream, headers) => {
      if (headers[':path'] === '/head') return fault(stream)
      stream.respond({ ':status': 200 })
      stream.write('half')
    })
    const client = open()
    await expect(client.send(get(url, { path: '/head' }))).rejects.toMatchObject({ code: 'ERR_UPSTREAM_FAILED' })
    const held: ServerHttp2Stream[] = []
    const other = await http2Origin((stream) => {
      held.push(stream)
      stream.respond({ ':status': 200 })
      stream.write('half')
    })
    const { body } = await client.send(get(other.url))
    let seen = ''
    const cut = expect(
      (async () => {
        for await (const chunk of body as Readable) {
          seen += chunk
          for (const stream of held.splice(0)) fault(stream)
        }
      })(),
    ).rejects.toMatchObject({ code: 'ERR_UPSTREAM_FAILED' })
    await cut
    expect(seen).toBe('half')
  })

  it('speaks something else', async () => {
    const { address } = await rawOrigin((socket) => socket.write('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n'))
    await expect(open().send(get(`http://${address}`))).rejects.toMatchObject({ code: 'ERR_UPSTREAM_UNREACHABLE' })
  })

  it('is still being connected to when the client closes: its requests fail', async () => {
    const cancellation = new Cancellation(systemWorld)
    let connections = 0
    const client = open()
    const { address } = await rawOrigin((socket) => {
      connections += 1
      if (connections > 50) cancellation.abort(new Error('connects for ever'))
      socket.once('data', () => {
        if (connections === 1) void client.close()
        socket.write(Buffer.from('000000040000000000', 'hex'))
      })
    })
    const sent = client.send(get(`http://${address}`, { cancellation }))
    await expect(sent).rejects.toMatchObject({ code: 'ERR_UPSTREAM_UNREACHABLE' })
    expect(connections).toBe(1)
  })

  it('goes away: what comes later takes another connection', async () => {
    const upstream = await http2Origin(echo)
    const client = open()
    await textOf(await client.send(get(upstream.url)))
    for (const session of upstream.sessions) session.close()
    await until(() => upstream.sessions.size === 0, 'the connection to close')
    expect((await client.send(get(upstream.url))).status).toBe(200)
  })

  it('is dead: a request given up asks it by a ping, and its connection is cut without an answer', async () => {
    const world = manualWorld()
    let connections = 0
    const server = createServer()
    const { address } = await rawOrigin((socket) => {
      connections += 1
      if (connections > 1) server.emit('connection', socket)
      // The first one: settings, and then nothing any more.
      else socket.once('data', () => socket.write(Buffer.from('000000040000000000', 'hex')))
    })
    server.on('stream', (stream: ServerHttp2Stream) => stream.respond({ ':status': 204 }, { endStream: true }))
    const client = open({ world })
    const cancellation = new Cancellation(systemWorld)
    const first = client.send(get(`http://${address}`, { cancellation }))
    const failed = expect(first).rejects.toThrow('given up')
    await until(() => connections === 1, 'the connection')
    // Not before it is open: then nothing was sent, and nothing is asked.
    await new Promise((resolve) => setTimeout(resolve, 50))
    cancellation.abort(new Error('given up'))
    await failed
    await world.advance(2_000)
    expect((await client.send(get(`http://${address}`))).status).toBe(204)
  })

  it('sends nothing of a body for too long', async () => {
    const world = manualWorld()
    const { url } = await http2Origin((stream) => stream.respond({ ':status': 200 }))
    const { body } = await open({ world }).send(get(url, { idleTimeoutMs: 1_000 }))
    const failed = expect(textOf({ status: 200, headers: [], body })).rejects.toMatchObject({ code: 'ERR_UPSTREAM_FAILED' })
    await world.advance(1_000)
    await failed
  })
})

it('a reader who leaves resets the stream', async () => {
  const codes: number[] = []
  const { url } = await http2Origin((stream) => {
    stream.on('close', () => codes.push(stream.rstCode))
    stream.respond({ ':status': 200 })
    stream.write('half')
  })
  const { body } = await open().send(get(url))
  ;(body as Readable).destroy()
  await until(() => codes.length === 1, 'the reset')
  expect(codes).toEqual([constants.NGHTTP2_CANCEL])
})

it('a body that is cut never looks whole to the upstream', async () => {
  const ends: string[] = []
  const { url } = await http2Origin((stream) => {
    stream.resume()
    stream.on('end', () => ends.push(`end ${stream.rstCode}`))
    stream.on('close', () => ends.push('close'))
  })
  const body = new Readable({ read() {} })
  const failed = expect(open().send(get(url, { method: 'POST', body }))).rejects.toThrow('cut')
  body.push('half')
  await new Promise((resolve) => setTimeout(resolve, 20))
  body.destroy(new Error('cut'))
  await failed
  await until(() => ends.includes('close'), 'the stream to close')
  expect(ends).not.toContain('end 0')
})

it('takes an answer no faster than it is read', async () => {
  let sent = 0
  const { url } = await http2Origin((stream) => {
    stream.respond({ ':status': 200 })
    const chunk = Buffer.alloc(65_536)
    const more = () => {
      while (sent < 20_000_000 && !stream.destroyed) {
        sent += chunk.length
        if (!stream.write(chunk)) break
      }
    }
    stream.on('drain', more)
    more()
  })
  const { body } = await open().send(get(url))
  const before = sent
  await until(() => sent > before || sent > 200_000, 'something to come')
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(sent).toBeLessThan(2_000_000)
  ;(body as Readable).destroy()
})
