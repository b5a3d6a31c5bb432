import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { GatewayConfig } from './config.ts'
import { SERVER } from './test/certificates.ts'
import { origin, start, until } from './test/harness.ts'

/** A gateway before a service that sends without end, or so many bytes. `left`: how many of its answers were given up. */
async function before(bytes = Number.POSITIVE_INFINITY, more: Partial<GatewayConfig> = { h2c: true }, idle_timeout_ms = 300) {
  let left = 0
  const service = await origin((_, response) => {
    let sent = 0
    const send = () => {
      while (sent < bytes) {
        sent += 65_536
        if (!response.write(Buffer.alloc(65_536))) return void response.once('drain', send)
      }
      response.end()
    }
    response.on('close', () => {
      left += response.writableFinished ? 0 : 1
    })
    send()
  })
  const running = await start({ ...more, routes: [{ path: '/', service: 'a', idle_timeout_ms }] }, { a: [service.address] })
  return { ...running, left: () => left }
}

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

/** A client that reads nothing unless it is told to. */
function reader(port: number, bytes: string, socket: Socket = connect(port, '127.0.0.1')) {
  socket.on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  socket.pause().write(bytes)
  return socket
}

describe('a client that takes nothing of its answer for too long', () => {
  it('is cut, and the connection to the service is given back', async () => {
    const { port, log, left } = await before()
    reader(port, GET)
    await until(() => left() === 1, 'the service to see that nobody reads')
    await until(() => log.some(({ end }) => end === 'stalled'), 'the log line')
    expect(log.find(({ end }) => end === 'stalled')).toMatchObject({ status: 200, path: '/' })
  })

  it('is cut over TLS', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'banyan-stalled-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    writeFileSync(cert, SERVER.cert)
    writeFileSync(key, SERVER.key)
    const { port, log, left } = await before(undefined, { tls: { cert, key } })
    reader(port, GET, connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }))
    await until(() => left() === 1, 'the service to see that nobody reads')
    await until(() => log.some(({ end }) => end === 'stalled'), 'the log line')
  })

  it('is cut where the service refused its handshake, too', async () => {
    const { port, left } = await before()
    reader(port, GET.replace('\r\n\r\n', '\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'))
    await until(() => left() === 1, 'the service to see that nobody reads')
  })

  it('is cut while the last of it waits, which no service does', async () => {
    const service = await origin((_, response) => void response.end(Buffer.alloc(60_000)))
    const { port, log } = await start({ routes: [{ path: '/', service: 'a', idle_timeout_ms: 300 }] }, { a: [service.address] })
    reader(port, GET.repeat(400))
    await until(() => log.some(({ end }) => end === 'stalled'), 'the log line')
  })

  it('has its stream reset in HTTP/2, and the others of its connection go on', async () => {
    const { url, log, left } = await before()
    const session = connectHttp2(url)
    onTestFinished(() => session.destroy())
    const stalled = session.request().on('error', () => undefined)
    let bytes = 0
    const lively = session.request().on('data', (data: Buffer) => {
      bytes += data.length
    })
    await once(stalled, 'response')
    stalled.pause()
    await until(() => left() === 1, 'the service to see that nobody reads')
    await until(() => log.some(({ end }) => end === 'stalled'), 'the log line')
    const taken = bytes
    await until(() => bytes > taken + 1_000_000, 'the other stream to go on')
    lively.on('error', () => undefined).destroy()
  })
})

describe('a client that takes its answer slowly', () => {
  /** Longer than a busy machine keeps this process from its work. */
  const PATIENCE_MS = 1_500

  it('has all of it', async () => {
    const { port, log } = await before(20_000_000, undefined, PATIENCE_MS)
    const socket = reader(port, GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    let bytes = 0
    // In longer than the patience that there is with it.
    const timer = setInterval(() => {
      bytes += socket.read()?.length ?? 0
    }, 10)
    onTestFinished(() => clearInterval(timer))
    await once(socket, 'end')
    expect(bytes).toBeGreaterThan(20_000_000)
    await until(() => log.some(({ end, status }) => end === undefined && status === 200), 'the log line')
  })

  it('has all of it over HTTP/2', async () => {
    const { url } = await before(1_500_000, undefined, PATIENCE_MS)
    const session = connectHttp2(url)
    onTestFinished(() => session.destroy())
    const stream = session.request()
    await once(stream, 'response')
    let bytes = 0
    const timer = setInterval(() => {
      bytes += stream.read()?.length ?? 0
    }, 30)
    onTestFinished(() => clearInterval(timer))
    await once(stream, 'end')
    expect(bytes).toBeGreaterThan(1_500_000)
  })
})

describe('an answer whose service pauses', () => {
  it('does not end with the patience for clients', async () => {
    const service = await origin(async (_, response) => {
      response.write(Buffer.alloc(4_000_000))
      for (let n = 0; n < 8; n += 1) {
        await new Promise((resolve) => setTimeout(resolve, 200))
        response.write('x')
      }
      response.end()
    })
    const { url } = await start({ routes: [{ path: '/', service: 'a', idle_timeout_ms: 1_000 }] }, { a: [service.address] })
    expect((await (await fetch(url)).arrayBuffer()).byteLength).toBe(4_000_008)
  })
})
