import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { manualWorld, systemWorld } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bodyOf, closedPort, origin, rawOrigin, until } from '../test/harness.ts'
import { SELF_SIGNED } from '../test/self-signed.ts'
import type { UpstreamAnswer, UpstreamClient, UpstreamRequest } from '../upstream-client.ts'
import { type Http1ClientOptions, http1Client } from './client.ts'

function open(options: Http1ClientOptions = {}): UpstreamClient {
  const client = http1Client(options)
  onTestFinished(() => client.close())
  return client
}

function get(address: string, more: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return {
    origin: `http://${address}`,
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

/** An upstream that answers each request's head with the next of these texts; the last one again and again. */
async function answering(...answers: string[]): Promise<{ address: string; sockets: Socket[]; heads: string[] }> {
  const sockets: Socket[] = []
  const heads: string[] = []
  const { address } = await rawOrigin((socket) => {
    sockets.push(socket)
    socket.setEncoding('latin1').on('data', (data: string) => {
      heads.push(data)
      socket.write(answers[Math.min(heads.length, answers.length) - 1] ?? '', 'latin1')
    })
  })
  return { address, sockets, heads }
}

const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'

describe('a request', () => {
  it('goes out as it is, and its answer comes back whole', async () => {
    const { address, heads } = await answering(HELLO)
    const answer = await open().send(get(address, { path: '/a?b=1&b=2', headers: ['X-A', '1', 'x-a', '2'] }))
    expect(heads).toEqual([`GET /a?b=1&b=2 HTTP/1.1\r\nhost: ${address}\r\nX-A: 1\r\nx-a: 2\r\n\r\n`])
    expect(answer).toMatchObject({ status: 200, headers: ['Content-Length', '5'], body: Buffer.from('hello') })
  })

  it('has its trailers behind its chunks, but for those that would begin something else', async () => {
    const service = await origin(async (request, response) => {
      await bodyOf(request)
      response.end(JSON.stringify(request.rawTrailers))
    })
    const trailers = () => ['x-sum', '3', 'x bad', '1', ':path', '/', 'x-split', 'a\r\nx-new: 1', 'x-wide', 'č', 'x-last', '']
    const client = open()
    const post = { method: 'POST', trailers }
    const inChunks = await client.send(get(service.address, { ...post, body: Readable.from([Buffer.from('all')]) }))
    expect(JSON.parse(await textOf(inChunks))).toEqual(['x-sum', '3', 'x-last', ''])
    const ofLength = { headers: ['content-length', '3'], body: Readable.from([Buffer.from('all')]) }
    expect(JSON.parse(await textOf(await client.send(get(service.address, { ...post, ...ofLength }))))).toEqual([])
  })

  it.each([
    ['of known length', ['content-length', '200000'], 200_000],
    ['of unknown length', [], 200_000],
    ['that is empty', [], 0],
  ])('sends a body %s as it comes', async (_, headers, bytes) => {
    const service = await origin(async (request, response) => {
      const body = await bodyOf(request)
      response.end(`${body.length} ${request.headers['transfer-encoding'] ?? request.headers['content-length']}`)
    })
    const body = Readable.from(Array.from({ length: bytes / 1_000 }, () => Buffer.alloc(1_000, 'x')))
    const answer = await open().send(get(service.address, { method: 'POST', headers, body }))
    expect(await textOf(answer)).toBe(`${bytes} ${headers[1] ?? 'chunked'}`)
  })

  it.each([10, 100_000])('sends a body of %d bytes that is at hand', async (bytes) => {
    const service = await origin(async (request, response) => void response.end(await bodyOf(request)))
    const body = Buffer.from('é'.repeat(bytes / 2), 'utf8')
    const answer = await open().send(get(service.address, { method: 'POST', headers: ['content-length', String(body.length)], body }))
    expect(await textOf(answer)).toBe(body.toString())
  })

  it.each([
    ['a header that would begin another', { headers: ['x-a', 'b\r\nx-b: c'] }],
    ['a header name with a blank', { headers: ['x a', 'b'] }],
    ['a path with a blank', { path: '/a b' }],
    ['a method that is none', { method: 'GET /' }],
    ['a character that is no byte', { headers: ['x-a', '\u2028'] }],
  ])('is refused with %s, and the connection serves the next', async (_, wrong) => {
    const { address, sockets } = await answering(HELLO)
    const client = open()
    await client.send(get(address))
    await expect(client.send(get(address, wrong))).rejects.toMatchObject({ code: 'ERR_REQUEST_INVALID', status: 400 })
    await client.send(get(address))
    expect(sockets).toHaveLength(1)
  })

  it.each([
    ['shorter', 10],
    ['longer', 3],
  ])('never leaves a connection to others when its body is %s than it says', async (_, length) => {
    const { address, sockets } = await answering('')
    const body = Readable.from([Buffer.from('hello')])
    const sent = open().send(get(address, { method: 'POST', headers: ['content-length', String(length)], body }))
    await expect(sent).rejects.toMatchObject({ code: 'ERR_BODY_CUT' })
    await until(() => sockets[0]?.closed === true, 'the connection to close')
  })

  it('ends when it is cancelled, while it waits for an answer', async () => {
    const { address, sockets } = await answering('')
    const abort = new Cancellation(systemWorld)
    const sent = open().send(get(address, { cancellation: abort }))
    await until(() => sockets.length === 1, 'a connection')
    abort.abort(new Error('enough'))
    await expect(sent).rejects.toThrow('enough')
    await until(() => sockets[0]?.closed === true, 'the connection to close')
  })

  it('is not sent when it was cancelled before', async () => {
    const { address, heads } = await answering(HELLO)
    const cancellation = new Cancellation(systemWorld)
    cancellation.abort(new Error('enough'))
    await expect(open().send(get(address, { cancellation }))).rejects.toThrow('enough')
    expect(heads).toEqual([])
  })
})

describe('an upstream', () => {
  it('that nobody runs is unreachable', async () => {
    const sent = open().send(get(`127.0.0.1:${await closedPort()}`))
    await expect(sent).rejects.toMatchObject({ code: 'ERR_UPSTREAM_UNREACHABLE' })
  })

  it('that does not let anybody in is unreachable when the time for that is over', async () => {
    const world = manualWorld()
    // Documentation's own network (RFC 5737): nobody answers there, or says at once that there is no way.
    const sent = open({ world, connectTimeoutMs: 2_000 }).send(get('192.0.2.1:81'))
    const outcome = expect(sent).rejects.toMatchObject({ code: 'ERR_UPSTREAM_UNREACHABLE' })
    await world.advance(2_000)
    await outcome
  })

  it('that hangs up before it answers has failed', async () => {
    const { address } = await rawOrigin((socket) => void socket.on('data', () => socket.destroy()))
    await expect(open().send(get(address))).rejects.toMatchObject({ code: 'ERR_UPSTREAM_FAILED' })
  })

  it('whose certificate nobody vouches for is unreachable', async () => {
    const server = createTlsServer(SELF_SIGNED, (_, response) => void response.end('hello')).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const sent = open().send(get('', { origin: `https://127.0.0.1:${port}` }))
    await expect(sent).rejects.toMatchObject({ code: 'ERR_UPSTREAM_UNREACHABLE' })
  })

  it('that answers unclean HTTP is told so, and its connection ends', async () => {
    const { address, sockets } = await answering('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na')
    await expect(open().send(get(address))).rejects.toMatchObject({ code: 'ERR_UPSTREAM_INVALID' })
    await until(() => sockets[0]?.closed === true, 'the connection to close')
  })

  it('that tells of early hints is heard', async () => {
    const { address } = await answering(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${HELLO}`)
    const heard: unknown[] = []
    await open().send(get(address, { onInterim: (status, headers) => void heard.push([status, headers]) }))
    expect(heard).toEqual([[103, ['Link', '</a>']]])
  })

  it('may send trailers', async () => {
    const { address } = await answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n')
    const answer = await open().send(get(address))
    expect([await textOf(answer), answer.trailers?.()]).toEqual(['a', ['X-Sum', '1']])
  })
})

describe('a connection', () => {
  it('serves one request after another', async () => {
    const { address, sockets, heads } = await answering(HELLO)
    const client = open()
    for (let n = 0; n < 5; n += 1) await client.send(get(address))
    expect([sockets.length, heads.length]).toEqual([1, 5])
  })

  it('serves one request at a time: others open their own, up to the limit, and wait then', async () => {
    let most = 0
    let now = 0
    const waiting: (() => void)[] = []
    const service = await origin((_, response) => {
      now += 1
      most = Math.max(most, now)
      waiting.push(() => {
        now -= 1
        response.end('hello')
      })
    })
    const client = open({ maxConnections: 3 })
    const answers = Array.from({ length: 7 }, () => client.send(get(service.address)))
    for (let done = 0; done < 7; done += 1) {
      await until(() => waiting.length > 0, 'a request')
      waiting.shift()?.()
    }
    for (const answer of await Promise.all(answers)) expect(answer.status).toBe(200)
    expect(most).toBe(3)
  })

  it('is not waited for by a request that is cancelled', async () => {
    const { address } = await answering('')
    const client = open({ maxConnections: 1 })
    const abort = new Cancellation(systemWorld)
    const first = client.send(get(address, { cancellation: abort }))
    const second = new Cancellation(systemWorld)
    const waits = client.send(get(address, { cancellation: second }))
    second.abort(new Error('not any more'))
    await expect(waits).rejects.toThrow('not any more')
    abort.abort(new Error('over'))
    await expect(first).rejects.toThrow('over')
  })

  it('is opened for nobody once the client is closed: who waits for one is told', async () => {
    const { address, sockets } = await answering('')
    const client = open({ maxConnections: 1 })
    const sent = Array.from({ length: 3 }, () => client.send(get(address)))
    const outcomes = Promise.allSettled(sent)
    await until(() => sockets.length === 1, 'the connection')
    await client.close()
    // The one that was sent may have been answered; the others were never sent.
    expect((await outcomes).map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual([
      'ERR_UPSTREAM_FAILED',
      'ERR_UPSTREAM_UNREACHABLE',
      'ERR_UPSTREAM_UNREACHABLE',
    ])
    expect(sockets).toHaveLength(1)
  })

  it.each([
    ['it says so', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na'],
    ['bytes follow its answer', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na!'],
    ['it speaks HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na'],
  ])('is not used again when %s', async (_, text) => {
    const { address, sockets } = await answering(text, HELLO)
    const client = open()
    expect(await textOf(await client.send(get(address)))).toBe('a')
    expect(await textOf(await client.send(get(address)))).toBe('hello')
    expect(sockets).toHaveLength(2)
  })

  it('is not used again when bytes come that nobody has asked for: they are no answer to the next request', async () => {
    const { address, sockets } = await answering(HELLO)
    const client = open()
    await client.send(get(address))
    sockets[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged')
    await until(() => sockets[0]?.closed === true, 'the connection to close')
    expect(await textOf(await client.send(get(address)))).toBe('hello')
  })

  it('is not used again when the answer came before the request was whole', async () => {
    const { address, sockets } = await answering(HELLO)
    const client = open()
    const body = new Readable({ read() {} })
    expect(await textOf(await client.send(get(address, { method: 'POST', body })))).toBe('hello')
    expect(body.destroyed).toBe(true)
    await until(() => sockets[0]?.closed === true, 'the connection to close')
  })

  it.each([
    ['after 4 s without work', HELLO, 3_900, 4_100],
    [
      'a second before the other side closes it',
      'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=3, max=100\r\nContent-Length: 5\r\n\r\nhello',
      1_900,
      2_100,
    ],
  ])('ends %s', async (_, answer, early, late) => {
    const world = manualWorld()
    const { address, sockets } = await answering(answer)
    const client = open({ world })
    await client.send(get(address))
    await world.advance(early)
    await client.send(get(address))
    expect(sockets).toHaveLength(1)
    await world.advance(late)
    await client.send(get(address))
    expect(sockets).toHaveLength(2)
  })

  it('ends when nobody uses it, and so does the timer that looks', async () => {
    const world = manualWorld()
    const { address, sockets } = await answering(HELLO)
    await open({ world }).send(get(address))
    await world.advance(6_000)
    await until(() => sockets[0]?.closed === true, 'the connection to close')
    expect(world.pendingTimers()).toBe(0)
  })
})

describe('a body', () => {
  const begun = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'

  it('fails when the answer is cut short', async () => {
    const { address, sockets } = await answering(begun)
    const answer = await open().send(get(address))
    sockets[0]?.end()
    await expect(textOf(answer)).rejects.toMatchObject({ code: 'ERR_UPSTREAM_FAILED' })
  })

  it('ends the connection when nobody wants it any more', async () => {
    const { address, sockets } = await answering(begun)
    const answer = await open().send(get(address))
    if (answer.body instanceof Readable) answer.body.destroy()
    await until(() => sockets[0]?.closed === true, 'the connection to close')
  })

  it('fails when nothing comes for too long', async () => {
    const world = manualWorld()
    const { address } = await answering(begun)
    const answer = await open({ world }).send(get(address, { idleTimeoutMs: 1_000 }))
    const failed = expect(textOf(answer)).rejects.toThrow("nothing of the answer's body came for 1000 ms")
    await world.advance(1_001)
    await failed
  })

  it('is taken no faster than it is read', async () => {
    let written = 0
    const service = await origin((_, response) => {
      const write = () => {
        written += 65_536
        if (written > 50_000_000) response.end(Buffer.alloc(65_536))
        else if (response.write(Buffer.alloc(65_536))) write()
        else response.once('drain', write)
      }
      write()
    })
    const { body } = await open().send(get(service.address))
    if (!(body instanceof Readable)) throw new Error('wanted a body that is still coming')
    let before = -1
    while (before !== written) {
      before = written
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(written).toBeLessThan(20_000_000)
    let bytes = 0
    for await (const chunk of body) bytes += chunk.length
    expect(bytes).toBeGreaterThanOrEqual(50_000_000)
  })
})
