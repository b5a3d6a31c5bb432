import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { get, Agent as HttpAgent } from 'node:http'
import { connect, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { systemWorld, type World } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { describe, expect, it, onTestFinished } from 'vitest'
import { gateway } from './gateway.ts'
import { type Plugin, problem, text, withHeader } from './index.ts'
import { type Echo, echo, origin, rawOrigin, rawRequest, start, statusOf, until } from './test/harness.ts'

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'banyan-gateway-'))
  onTestFinished(() => rm(made, { recursive: true, force: true }))
  return made
}

const nothing = staticRegistry({})

describe('start and stop', () => {
  it('says in one line that the port is taken', async () => {
    const first = await start({ routes: [{ path: '/', url: 'http://127.0.0.1:1' }] })
    const second = gateway({
      config: { listen: first.port, routes: [{ path: '/', url: 'http://127.0.0.1:1' }] },
      registry: nothing,
      host: '127.0.0.1',
    })
    await expect(second.start()).rejects.toMatchObject({
      code: 'ERR_PORT_TAKEN',
      message: `cannot listen on 127.0.0.1:${first.port}: another program has it; stop that one or choose another port`,
    })
    const third = gateway({
      config: { listen: 0, admin: first.port, routes: [{ path: '/', url: 'http://127.0.0.1:1' }] },
      registry: nothing,
    })
    await expect(third.start()).rejects.toMatchObject({ code: 'ERR_PORT_TAKEN' })
    await second.stop()
    await third.stop()
  })

  it('says what is wrong with a file that is bad or not there', async () => {
    const file = join(await folder(), 'gateway.yaml')
    const made = gateway({ file, registry: nothing })
    await expect(made.start()).rejects.toMatchObject({
      code: 'ERR_FILE_UNREADABLE',
      message: expect.stringContaining(`cannot read the gateway file "${file}"`),
    })
    await writeFile(file, 'routes:\n  - pth: /\n')
    await expect(made.start()).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      message: expect.stringContaining(`${file}:2:5: unknown key "pth" in route 1; did you mean "path"?`),
    })
    expect(() => gateway({ registry: nothing })).toThrow(TypeError)
  })

  it('tells how it is on the admin port', async () => {
    const service = await echo()
    const { adminUrl, gateway: made } = await start(
      { routes: [{ path: '/', service: 'a' }] },
      { a: [service.address] },
      { metrics: async () => 'up 1\n' },
    )
    const ask = async (path: string) => {
      const response = await fetch(adminUrl + path)
      return [response.status, await response.text()]
    }
    expect(await ask('/health/live')).toEqual([200, '{"status":"alive"}'])
    expect(await ask('/health/ready')).toEqual([
      200,
      '{"status":"ready","detail":"1 routes","routes":1,"upstreams":[{"name":"a","instances":1,"breaker":"closed"}]}',
    ])
    expect(await ask('/metrics')).toEqual([200, 'up 1\n'])
    expect((await ask('/else'))[0]).toBe(404)
    expect(await made.health()).toEqual({ healthy: true, detail: '1 routes' })
    await made.stop()
    expect(await made.health()).toEqual({ healthy: false, detail: 'not running' })
    await made.stop()
  })

  it('finishes what is in flight, asks clients to connect anew, and takes no new connections', async () => {
    const waiting: (() => void)[] = []
    const service = await origin((_, response) => void waiting.push(() => response.end('done')))
    const { url, port, gateway: made } = await start({ drain_ms: 5_000, routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const agent = new HttpAgent({ keepAlive: true })
    const pending = new Promise<{ text: string; connection: string | undefined }>((resolve, reject) => {
      get(url, { agent }, (response) => {
        let received = ''
        response.on('data', (chunk) => {
          received += chunk
        })
        response.on('end', () => resolve({ text: received, connection: response.headers.connection }))
      }).on('error', reject)
    })
    await until(() => waiting.length === 1, 'the request to arrive')
    const stopping = made.stop()
    await untilRefused(port)
    waiting[0]?.()
    expect(await pending).toEqual({ text: 'done', connection: 'close' })
    await stopping
  })

  it('cuts what does not end in time', async () => {
    const service = await rawOrigin(() => undefined)
    const { url, gateway: made } = await start({ drain_ms: 100, routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const pending = fetch(url).then(
      () => 'answered',
      () => 'cut',
    )
    await new Promise((resolve) => setTimeout(resolve, 100))
    const startedAt = Date.now()
    await made.stop()
    expect([await pending, Date.now() - startedAt < 2_000]).toEqual(['cut', true])
  })

  it('goes on when the system cannot give a connection, and says so', async () => {
    const servers: Server[] = []
    // Where Node tells which servers have begun to listen, and what it publishes there.
    const note = (message: unknown) => void servers.push((message as { server: Server }).server)
    const service = await echo()
    subscribe('tracing:net.server.listen:asyncEnd', note)
    const { url, log } = await start({ admin: 0, routes: [{ path: '/', url: service.url }] })
    unsubscribe('tracing:net.server.listen:asyncEnd', note)
    expect(servers).toHaveLength(2)
    // As Node does it when accept(2) fails. Twice: whoever waited for the start may still have heard the first one.
    for (const server of [...servers, ...servers]) server.emit('error', new Error('accept ENOBUFS'))
    expect(log.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual(
      ['connection', 'connection to the admin port', 'connection', 'connection to the admin port'].map(
        (what) => `a ${what} could not be accepted: accept ENOBUFS`,
      ),
    )
    expect((await fetch(url)).status).toBe(200)
  })
})

/** Resolves when nobody listens at a port any more. */
async function untilRefused(port: number): Promise<void> {
  for (let isOpen = true; isOpen; ) {
    const socket = connect(port, '127.0.0.1')
    isOpen = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'close').then(() => false)]).catch(() => false)
    socket.destroy()
  }
}

describe('reload', () => {
  it('takes a changed file at once, keeps a bad one out, and fails no request meanwhile', async () => {
    const services = { one: [(await echo('one')).address], two: [(await echo('two')).address] }
    const file = join(await folder(), 'gateway.yaml')
    const write = async (content: string) => {
      await writeFile(`${file}.new`, content)
      await rename(`${file}.new`, file)
    }
    const to = (service: string, note = '') => `drain_ms: 100\nroutes:\n  - path: /\n    service: ${service}\n${note}`
    await write(to('one'))
    const lines: string[] = []
    const log = { debug() {}, info() {}, warn() {}, error: (_: object, message: string) => void lines.push(message) }
    const made = gateway({ file, registry: staticRegistry(services), host: '127.0.0.1', port: 0, log })
    const { url } = await made.start()
    onTestFinished(() => made.stop())

    let stop = false
    let failed = 0
    let done = 0
    const seen: string[] = []
    const load = Array.from({ length: 4 }, async () => {
      while (!stop) {
        const response = await fetch(url)
        if (response.status !== 200) failed += 1
        seen.push(((await response.json()) as Echo).name)
        done += 1
      }
    })
    await write(to('two'))
    await until(() => seen.at(-1) === 'two', 'the new route')
    await write('routes: [ { path: /, servce: one } ]')
    await until(() => lines.length > 0, 'the refusal in the log')
    expect(lines[0]).toContain(`${file}:1:`)
    expect(lines[0]).toContain('did you mean "service"?')
    await expect(made.reload()).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
    expect(seen.at(-1)).toBe('two')
    for (let index = 0; index < 50; index += 1) {
      await write(to(index % 2 === 0 ? 'one' : 'two', `# ${index}\n`))
      await made.reload()
    }
    await write(to('one', '# last\n'))
    await until(() => seen.at(-1) === 'one', 'the last one')
    stop = true
    await Promise.all(load)
    expect(failed).toBe(0)
    expect(done).toBeGreaterThan(100)
  })

  it('complains of a bad file once, although its own log is written beside it', async () => {
    const service = await echo()
    const file = join(await folder(), 'gateway.yaml')
    const to = (path: string) => `drain_ms: 100\nlinger_ms: 0\nroutes:\n  - path: ${path}\n    url: ${service.url}\n`
    await writeFile(file, to('/one'))
    let looks = 0
    const after: World['after'] = (ms, run) =>
      systemWorld.after(ms, () => {
        if (ms === 50) looks += 1
        run()
      })
    const errors: string[] = []
    const error = (_: object, message: string) => {
      errors.push(message)
      appendFileSync(join(dirname(file), 'gateway.log'), `${message}\n`)
    }
    const log = { debug() {}, info() {}, warn() {}, error }
    const made = gateway({ file, registry: staticRegistry({}), host: '127.0.0.1', port: 0, log, world: { ...systemWorld, after } })
    const { url } = await made.start()
    onTestFinished(() => made.stop())
    const replace = async (content: string) => {
      await writeFile(`${file}.new`, content)
      await rename(`${file}.new`, file)
    }
    await replace('routes: []')
    await until(() => errors.length > 0, 'the complaint')
    const before = looks
    await until(() => looks > before, 'a look after the log was written')
    await replace(to('/two'))
    while ((await fetch(`${url}/two`)).status !== 200);
    expect(errors).toHaveLength(1)
  })

  it('keeps counts, keys and breakers of what did not change', async () => {
    const service = await echo()
    const routes = [{ path: '/', service: 'a', plugins: [{ name: 'rate-limiting' as const, config: { minute: 2 } }] }]
    const { url, gateway: made } = await start({ routes }, { a: [service.address] })
    expect((await fetch(url)).headers.get('ratelimit')).toContain('r=1')
    await made.reload({ routes: [...routes, { path: '/other', service: 'a' }] })
    expect((await fetch(url)).headers.get('ratelimit')).toContain('r=0')
    expect((await fetch(`${url}/other`)).status).toBe(200)
    expect((await fetch(url)).status).toBe(429)
    await made.reload({ routes: [{ path: '/', service: 'a', plugins: [{ name: 'rate-limiting', config: { minute: 3 } }] }] })
    expect((await fetch(url)).headers.get('ratelimit')).toContain('r=2')
  })

  it('tells what only the next start changes', async () => {
    const route = { path: '/', url: (await echo()).url }
    const { gateway: made, log } = await start({ routes: [route] })
    await made.reload({
      routes: [route],
      admin: 1,
      max_header_bytes: 2_048,
      headers_timeout_ms: 1,
      request_timeout_ms: 2,
      keep_alive_ms: 3,
    })
    expect(log.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual(
      ['admin', 'max_header_bytes', 'headers_timeout_ms', 'request_timeout_ms', 'keep_alive_ms'].map(
        (key) => `"${key}" changed; that takes effect at the next start`,
      ),
    )
  })

  it('lets a request under way end by the configuration it began with', async () => {
    const waiting: (() => void)[] = []
    const service = await origin((_, response) => void waiting.push(() => response.end('old')))
    const { url, gateway: made } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const pending = fetch(url)
    await until(() => waiting.length === 1, 'the request to arrive')
    await made.reload({ routes: [{ path: '/else', service: 'b' }] })
    expect((await fetch(url)).status).toBe(404)
    waiting[0]?.()
    expect(await (await pending).text()).toBe('old')
  })
})

describe('a plugin of your own', () => {
  it('is a function around the next one, with a checked config', async () => {
    const tagging: Plugin<{ tag: string }> = {
      config: { kind: 'map', keys: { tag: { shape: text('a text'), required: true, about: 'what to add' } } },
      create:
        ({ tag }) =>
        (next) =>
        async (request) => {
          if (request.query === '?stop') return problem({ status: 418, code: 'ERR_TEA', detail: 'short and stout' })
          const response = await next({ ...request, headers: withHeader(request.headers, 'x-tag', tag) })
          return { ...response, headers: withHeader(response.headers, 'x-tagged', tag) }
        },
    }
    const service = await echo()
    const plugins = { 'shop:tag': tagging as Plugin }
    const routes = [{ path: '/', service: 'a', plugins: [{ name: 'shop:tag' as const, config: { tag: 'blue' } }] }]
    const { url } = await start({ routes }, { a: [service.address] }, { plugins })
    const response = await fetch(url)
    expect([response.headers.get('x-tagged'), ((await response.json()) as Echo).headers['x-tag']]).toEqual(['blue', 'blue'])
    expect((await fetch(`${url}/?stop`)).status).toBe(418)
    const wrong = gateway({
      config: { routes: [{ path: '/', service: 'a', plugins: [{ name: 'shop:tag', config: {} }] }] },
      registry: nothing,
      plugins,
    })
    await expect(wrong.start()).rejects.toThrow('the config of plugin "shop:tag" of route 1 needs "tag": what to add')
  })

  it('that throws gives 500 without a word of the inside, and a log line', async () => {
    const plugins = {
      'shop:bad': {
        config: { kind: 'map', keys: {} },
        create: () => () => () => Promise.reject(new Error('secret inside')),
      } satisfies Plugin as Plugin,
    }
    const { url, log } = await start({ routes: [{ path: '/', service: 'a', plugins: [{ name: 'shop:bad' }] }] }, {}, { plugins })
    const response = await fetch(url)
    expect([response.status, await response.text()]).toEqual([500, expect.not.stringContaining('secret')])
    expect(log.some(({ level }) => level === 'error')).toBe(true)
  })
})

describe('WebSocket', () => {
  const HANDSHAKE =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

  /** Accepts a handshake, then sends back what comes. */
  const echoing = () =>
    rawOrigin((socket) => {
      socket.once('data', (head) => {
        const lines = head.toString('latin1')
        const path = /^GET (\S+)/.exec(lines)?.[1]
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Path: ${path}\r\n\r\n`,
        )
        socket.on('data', (chunk) => socket.write(chunk))
        socket.on('end', () => socket.end())
      })
    })

  it('passes bytes both ways', async () => {
    const service = await echoing()
    const { port, log } = await start({ routes: [{ path: '/ws', service: 'a', strip_path: true }] }, { a: [service.address] })
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
    })
    socket.write(`GET /ws/room?x HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\nearly`)
    await until(() => received.includes('early'), 'the echo of what came with the handshake')
    expect(received).toMatch(/^HTTP\/1\.1 101 /)
    expect(received).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    expect(received).toContain('X-Path: /room?x')
    socket.write('more')
    await until(() => received.endsWith('more'), 'the echo')
    socket.end()
    await until(() => log.some(({ status }) => status === 101), 'the log line')
  })

  it('meets the plugins of its route, and gets problems as answers', async () => {
    const { port } = await start({
      routes: [{ path: '/ws', service: 'a', plugins: [{ name: 'jwt', config: { jwks: 'http://127.0.0.1:1' } }] }],
    })
    const refused = await rawRequest(port, `GET /ws HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\n`)
    expect([statusOf(refused), refused.includes('ERR_JWT_MISSING')]).toEqual([401, true])
    expect(statusOf(await rawRequest(port, `GET /none HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\n`))).toBe(404)
  })

  it('is refused as the service refuses it', async () => {
    const service = await origin((_, response) => response.writeHead(403).end('no'))
    const { port } = await start({ routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const raw = await rawRequest(port, `GET / HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\n`)
    expect([statusOf(raw), raw.endsWith('no') || raw.includes('\r\nno\r\n')]).toEqual([403, true])
  })

  it('is cut when the gateway stops', async () => {
    const service = await echoing()
    const { port, gateway: made } = await start({ drain_ms: 100, routes: [{ path: '/', service: 'a' }] }, { a: [service.address] })
    const answered = rawRequest(port, `GET / HTTP/1.1\r\nHost: x\r\n${HANDSHAKE}\r\nhello`)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await made.stop()
    expect(await answered).toContain('hello')
  })
})
