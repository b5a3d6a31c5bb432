import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { GatewayConfig } from './config.ts'
import { CA, SERVER } from './test/certificates.ts'
import { closedPort, start, until } from './test/harness.ts'

const asIs = (buffer: Buffer) => buffer
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  ...{ path, requestStream, responseStream },
  ...{ requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs },
})

/** A service of gRPC with a method of each kind; its messages are bytes. */
async function greeter(name = 'greeter') {
  const server = new Server()
  const seen: { metadata: Record<string, unknown>; cancelled: boolean }[] = []
  const note = (call: { metadata: Metadata; on(event: 'cancelled', listener: () => void): unknown }) => {
    const one = { metadata: call.metadata.getMap(), cancelled: false }
    seen.push(one)
    call.on('cancelled', () => {
      one.cancelled = true
    })
  }
  server.addService(
    {
      say: method('/demo.Greeter/Say', false, false),
      count: method('/demo.Greeter/Count', false, true),
      sum: method('/demo.Greeter/Sum', true, false),
      chat: method('/demo.Greeter/Chat', true, true),
    },
    {
      say(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
        note(call)
        const text = call.request.toString()
        const trailer = new Metadata()
        trailer.set('x-trailer', 'behind')
        if (text === 'wait') return
        if (text === 'refuse') return done({ code: status.FAILED_PRECONDITION, details: 'not so, é', metadata: trailer })
        done(null, Buffer.from(`${name}: ${text}`), trailer)
      },
      count(call: ServerWritableStream<Buffer, Buffer>) {
        note(call)
        for (let index = 0; index < 1_000; index += 1) call.write(Buffer.alloc(10_000, String(index % 10)))
        call.end()
      },
      sum(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
        let bytes = 0
        call.on('data', (part: Buffer) => {
          bytes += part.length
        })
        call.on('end', () => done(null, Buffer.from(String(bytes))))
      },
      chat(call: ServerDuplexStream<Buffer, Buffer>) {
        note(call)
        call.on('data', (part: Buffer) => call.write(Buffer.from(part.toString().toUpperCase())))
        call.on('end', () => call.end())
      },
    },
  )
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  )
  onTestFinished(() => server.forceShutdown())
  return { address: `127.0.0.1:${port}`, seen, server }
}

function clientOf(port: number, channel = credentials.createInsecure(), host = '127.0.0.1'): Client {
  const client = new Client(`${host}:${port}`, channel, { 'grpc.enable_http_proxy': 0 })
  onTestFinished(() => client.close())
  return client
}

/** A gateway before `greeter`, and a client of it. */
async function fronted(address: string[], more: Partial<GatewayConfig['routes'][number]> = {}) {
  const running = await start(
    { h2c: true, services: { greeter: { protocol: 'http2' } }, routes: [{ path: '/demo.Greeter', service: 'greeter', ...more }] },
    { greeter: address },
  )
  return { ...running, client: clientOf(running.port) }
}

interface Answered {
  readonly error: ServiceError | null
  readonly text: string | undefined
  readonly trailer: Record<string, unknown>
}

function say(client: Client, text: string, options: { deadline?: number } = {}, path = '/demo.Greeter/Say'): Promise<Answered> {
  return new Promise((resolve) => {
    let trailer: Record<string, unknown> = {}
    const call = client.makeUnaryRequest(path, asIs, asIs, Buffer.from(text), new Metadata(), options, (error, value) =>
      setImmediate(() => resolve({ error, text: value?.toString(), trailer })),
    )
    call.on('status', ({ metadata }) => {
      trailer = metadata.getMap()
    })
  })
}

describe('gRPC through the gateway', () => {
  it('has unary calls with their trailers', async () => {
    const { address, seen } = await greeter()
    const { client } = await fronted([address])
    expect(await say(client, 'hello')).toMatchObject({ error: null, text: 'greeter: hello', trailer: { 'x-trailer': 'behind' } })
    expect(seen[0]?.metadata).toMatchObject({ 'x-forwarded-proto': 'http' })
  })

  it('hands a refusal on with its code, message and metadata', async () => {
    const { address } = await greeter()
    const { client } = await fronted([address])
    const { error } = await say(client, 'refuse')
    expect(error).toMatchObject({ code: status.FAILED_PRECONDITION, details: 'not so, é' })
    expect(error?.metadata.getMap()).toMatchObject({ 'x-trailer': 'behind' })
  })

  it('streams from the service, from the client and both ways at once', async () => {
    const { address } = await greeter()
    const { client } = await fronted([address])
    let bytes = 0
    for await (const part of client.makeServerStreamRequest('/demo.Greeter/Count', asIs, asIs, Buffer.from('x'))) bytes += part.length
    expect(bytes).toBe(10_000_000)

    const summed = new Promise((resolve, reject) => {
      const call = client.makeClientStreamRequest('/demo.Greeter/Sum', asIs, asIs, (error, value) =>
        error ? reject(error) : resolve(value?.toString()),
      )
      for (let index = 0; index < 100; index += 1) call.write(Buffer.alloc(10_000))
      call.end()
    })
    expect(await summed).toBe('1000000')

    const chat = client.makeBidiStreamRequest('/demo.Greeter/Chat', asIs, asIs)
    const heard: string[] = []
    chat.on('data', (part: Buffer) => heard.push(part.toString()))
    for (const word of ['one', 'two', 'three']) {
      chat.write(Buffer.from(word))
      await until(() => heard.includes(word.toUpperCase()), `the answer to ${word}`)
    }
    const ended = new Promise((resolve) => chat.on('status', ({ code }) => resolve(code)))
    chat.end()
    expect(await ended).toBe(status.OK)
  })

  it('goes over TLS too', async () => {
    const { address } = await greeter()
    const folder = mkdtempSync(join(tmpdir(), 'banyan-grpc-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    writeFileSync(cert, SERVER.cert)
    writeFileSync(key, SERVER.key)
    const { port } = await start({
      tls: { cert, key, http2: true },
      routes: [{ path: '/demo.Greeter', url: `http://${address}`, protocol: 'http2' }],
    })
    const client = clientOf(port, credentials.createSsl(Buffer.from(CA)), 'localhost')
    expect(await say(client, 'hello')).toMatchObject({ error: null, text: 'greeter: hello' })
  })

  it('hands on what is left of the deadline, and says when it is over', async () => {
    const { address, seen } = await greeter()
    const { client } = await fronted([address])
    const { error } = await say(client, 'wait', { deadline: Date.now() + 300 })
    expect(error?.code).toBe(status.DEADLINE_EXCEEDED)
    await until(() => seen[0]?.cancelled === true, 'the service to hear of it')
  })

  it('says so when the gateway itself gives up', async () => {
    const { address, seen } = await greeter()
    const { client } = await fronted([address], { timeout_ms: 100 })
    const { error } = await say(client, 'wait')
    expect(error).toMatchObject({ code: status.DEADLINE_EXCEEDED, details: '"greeter" took too long to answer' })
    await until(() => seen[0]?.cancelled === true, 'the service to hear of it')
  })

  it('tells a service of a client that leaves', async () => {
    const { address, seen } = await greeter()
    const { client } = await fronted([address])
    const chat = client.makeBidiStreamRequest('/demo.Greeter/Chat', asIs, asIs)
    chat.on('error', () => undefined)
    chat.write(Buffer.from('one'))
    await new Promise((resolve) => chat.once('data', resolve))
    chat.cancel()
    await until(() => seen[0]?.cancelled === true, 'the service to hear of it')
  })

  it('has the answers of the gateway as statuses of gRPC', async () => {
    const { address } = await greeter()
    const { client, log } = await fronted([address], { plugins: [{ name: 'rate-limiting', config: { minute: 1 } }] })
    expect((await say(client, 'x', {}, '/demo.Other/Say')).error).toMatchObject({ code: status.UNIMPLEMENTED })
    expect((await say(client, 'x')).error).toBeNull()
    expect((await say(client, 'x')).error).toMatchObject({ code: status.RESOURCE_EXHAUSTED })
    expect(log.filter(({ status: code }) => code === 429)).toHaveLength(1)
  })

  it('goes to another instance when one cannot be reached', async () => {
    const { address } = await greeter()
    const { client } = await fronted([`127.0.0.1:${await closedPort()}`, address])
    const answers = await Promise.all(Array.from({ length: 10 }, () => say(client, 'hello')))
    expect(answers.map(({ text }) => text)).toEqual(Array(10).fill('greeter: hello'))
  })

  it('says UNAVAILABLE when nobody can be reached', async () => {
    const { client } = await fronted([`127.0.0.1:${await closedPort()}`], { retries: 0 })
    expect((await say(client, 'hello')).error).toMatchObject({ code: status.UNAVAILABLE, details: '"greeter" cannot be reached' })
  })
})

describe('a port with h2c', () => {
  it('stops although a connection has said nothing yet', async () => {
    const { address } = await greeter()
    const { port, gateway } = await fronted([address])
    const socket = connect(port, '127.0.0.1')
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => undefined)
    await new Promise((resolve) => socket.once('connect', resolve))
    // The gateway has it, too: it answered one that came later.
    await fetch(`http://127.0.0.1:${port}/nothing`)
    const begun = performance.now()
    await gateway.stop()
    await closed
    expect(performance.now() - begun).toBeLessThan(5_000)
  })

  it('serves HTTP/1.1 too, whatever its first bytes', async () => {
    const { address } = await greeter()
    const { url } = await fronted([address])
    expect((await fetch(`${url}/nothing`)).status).toBe(404)
    expect((await fetch(`${url}/nothing`, { method: 'PATCH', body: 'x' })).status).toBe(404)
  })
})
