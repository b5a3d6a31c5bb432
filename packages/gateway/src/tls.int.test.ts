import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { Agent, type RequestOptions, request } from 'node:https'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { type Logger, silentLogger } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { describe, expect, it, onTestFinished } from 'vitest'
import { sansOf } from './client-certificate.ts'
import { defineGateway } from './config-file.ts'
import { gateway } from './gateway.ts'
import { CA, ORDERS, OTHER, RENEWED, SERVER } from './test/certificates.ts'
import { bodyOf, type Echo, echo, statusOf, until } from './test/harness.ts'
import { SELF_SIGNED } from './test/self-signed.ts'

/** A gateway that speaks TLS, with its files. */
async function secured(tls = '', plugin = '', log: Logger = silentLogger) {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-tls-'))
  const put = (name: string, text: string) => writeFileSync(join(folder, name), text)
  put('cert.pem', SERVER.cert)
  put('key.pem', SERVER.key)
  put('ca.pem', CA)
  const service = await echo()
  const file = join(folder, 'gateway.yaml')
  const text = `listen: 127.0.0.1:0\nlinger_ms: 0\ndrain_ms: 100\ntls: { cert: cert.pem, key: key.pem${tls} }\nroutes:\n  - path: /\n    url: ${service.url}\n${plugin}`
  writeFileSync(file, text)
  const made = gateway({ file, registry: staticRegistry({}), log })
  onTestFinished(async () => {
    await made.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const { url, port } = await made.start()
  return { made, url, port, put, file, text }
}

/** One request; the connection's certificate comes along. */
function call(url: string, options: RequestOptions = {}): Promise<{ status: number; body: Echo; fingerprint: string }> {
  return new Promise((resolve, reject) => {
    request(url, { ca: CA, agent: false, ...options }, (response) => {
      const { fingerprint256 } = (response.socket as TLSSocket).getPeerCertificate()
      // The echo, or a problem.
      bodyOf(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Echo, fingerprint: fingerprint256 }),
        reject,
      )
    })
      .on('error', reject)
      .end()
  })
}

describe('a gateway that speaks TLS', () => {
  it('takes requests, and tells the service that they came so', async () => {
    const { url } = await secured()
    expect(url).toMatch(/^https:/)
    const { status, body } = await call(`${url}/a`)
    expect([status, body.headers['x-forwarded-proto']]).toEqual([200, 'https'])
    await expect(call(url, { ca: SELF_SIGNED.cert })).rejects.toThrow(/certificate/)
    await expect(call(url, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' })).rejects.toThrow()
  })

  it('keeps to the rules of plain connections', async () => {
    const { port } = await secured()
    const raw = await new Promise<string>((resolve) => {
      let received = ''
      const socket = connectTls({ port, host: '127.0.0.1', ca: CA, servername: 'localhost' }, () =>
        socket.write('GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'),
      )
      socket.on('data', (data) => {
        received += data
      })
      socket.on('close', () => resolve(received))
    })
    expect(statusOf(raw)).toBe(400)
  })

  it('takes renewed certificates at a reload, without an end to the connections that are there', async () => {
    const { url, made, put } = await secured()
    const agent = new Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    const before = await call(url, { agent })
    put('cert.pem', RENEWED.cert)
    put('key.pem', RENEWED.key)
    await made.reload()
    expect((await call(url)).fingerprint).not.toBe(before.fingerprint)
    expect((await call(url, { agent })).fingerprint).toBe(before.fingerprint)
  })

  it.each(['', 'admin: 127.0.0.1:0\nadmin_token: a-token-of-sixteen\n'])(
    'takes a change that came while it started, with %j',
    async (admin) => {
      const folder = mkdtempSync(join(tmpdir(), 'banyan-tls-'))
      // In a folder of its own, whose changes nobody watches.
      mkdirSync(join(folder, 'certs'))
      const [file, cert] = [join(folder, 'gateway.yaml'), join(folder, 'certs', 'cert.pem')]
      const service = await echo()
      const text = (path: string) =>
        `listen: 127.0.0.1:0\nlinger_ms: 0\ndrain_ms: 100\n${admin}tls: { cert: certs/cert.pem, key: key.pem }\nroutes: [{ path: ${path}, url: ${service.url} }]\n`
      writeFileSync(join(folder, 'key.pem'), SERVER.key)
      writeFileSync(file, text('/first'))
      execFileSync('mkfifo', [cert])
      const made = gateway({ file, registry: staticRegistry({}) })
      onTestFinished(async () => {
        await made.stop()
        rmSync(folder, { recursive: true, force: true })
      })
      const starting = made.start()
      // Opens when somebody reads it.
      const pipe = await open(cert, 'w')
      writeFileSync(file, text('/second'))
      await pipe.writeFile(SERVER.cert)
      await pipe.close()
      rmSync(cert)
      writeFileSync(cert, SERVER.cert)
      const { url } = await starting
      await expect.poll(async () => (await call(`${url}/second`)).status, { timeout: 3_000 }).toBe(200)
    },
  )

  it('takes no change that is still being read when it stops', async () => {
    const lines: string[] = []
    const write = (_: object, message: string) => void lines.push(message)
    const { made, file, text, put } = await secured('', '', { debug: write, info: write, warn: write, error: write })
    const slow = join(dirname(file), 'slow.pem')
    execFileSync('mkfifo', [slow])
    put('gateway.yaml', text.replace('cert.pem', 'slow.pem'))
    // Opens when somebody reads it.
    const pipe = await open(slow, 'w')
    await made.stop()
    await pipe.writeFile(SERVER.cert)
    await pipe.close()
    // Behind the change, as reloads go one after the other.
    await expect(made.reload()).rejects.toMatchObject({ code: 'ERR_NOT_STARTED' })
    for (let n = 0; n < 5; n += 1) await readFile(file)
    expect(lines).not.toContain('the gateway has a new configuration')
  })

  it('goes by the last of two changes, although what the first one names comes later', async () => {
    const lines: string[] = []
    const write = (_: object, message: string) => void lines.push(message)
    const { made, url, file, text, put } = await secured('', '', { debug: write, info: write, warn: write, error: write })
    const slow = join(dirname(file), 'slow.pem')
    execFileSync('mkfifo', [slow])
    put('gateway.yaml', text.replace('cert.pem', 'slow.pem').replace('path: /', 'path: /first'))
    // Opens when somebody reads it.
    const pipe = await open(slow, 'w')
    put('gateway.yaml', text.replace('path: /', 'path: /second'))
    const reloaded = made.reload()
    for (let n = 0; n < 20; n += 1) expect([200, 404]).toContain((await call(url)).status)
    await pipe.writeFile(SERVER.cert)
    await pipe.close()
    await reloaded
    await until(() => lines.filter((line) => line === 'the gateway has a new configuration').length >= 2, 'both')
    expect([(await call(`${url}/second`)).status, (await call(`${url}/first`)).status]).toEqual([200, 404])
  })

  it('takes no certificate without its key, and goes on with the good ones', async () => {
    const { url, made, put } = await secured()
    const before = await call(url)
    put('cert.pem', RENEWED.cert)
    await expect(made.reload()).rejects.toThrow(
      /"tls" does not fit together: .*wanted a certificate \("cert.pem"\) and its key \("key.pem"\)/,
    )
    put('cert.pem', 'rubbish')
    await expect(made.reload()).rejects.toThrow(/"tls" does not fit together/)
    expect((await call(url)).fingerprint).toBe(before.fingerprint)
    await expect(secured(', ca: nowhere.pem, client_certificate: required')).rejects.toThrow(
      /"ca" of "tls" is "nowhere.pem", which cannot be read/,
    )
  })

  it('refuses clients without a good certificate where one is required', async () => {
    const { url } = await secured(', ca: ca.pem, client_certificate: required')
    expect((await call(url, ORDERS)).status).toBe(200)
    await expect(call(url)).rejects.toThrow()
    await expect(call(url, SELF_SIGNED)).rejects.toThrow()
  })

  it('lets those certificates through that a route names, and tells the service whose they are', async () => {
    const plugin = '    plugins: [{ name: mtls-auth, config: { allow: ["spiffe://shop/orders"] } }]\n'
    const { url } = await secured(', ca: ca.pem, client_certificate: optional', plugin)
    const { status, body } = await call(url, { ...ORDERS, headers: { 'x-auth-subject': 'forged' } })
    expect([status, body.headers['x-auth-subject']]).toEqual([200, 'spiffe://shop/orders'])
    expect(await call(url, OTHER)).toMatchObject({ status: 403, body: { code: 'ERR_CERTIFICATE_REFUSED' } })
    expect(await call(url)).toMatchObject({ status: 401, body: { code: 'ERR_CERTIFICATE_MISSING' } })
    // Signed by somebody, but not by the CA.
    expect(await call(url, SELF_SIGNED)).toMatchObject({ status: 401 })
  })

  it('knows a certificate by its fingerprint too', async () => {
    const { url } = await secured(', ca: ca.pem, client_certificate: optional')
    const seen = await new Promise<string>((resolve) => {
      const { port } = new URL(url)
      const socket = connectTls({ port: Number(port), host: '127.0.0.1', ca: CA, servername: 'localhost', ...ORDERS }, () => {
        const own = socket.getCertificate()
        resolve(own && 'fingerprint256' in own ? String(own.fingerprint256) : '')
        socket.destroy()
      })
    })
    const guarded = await secured(
      ', ca: ca.pem, client_certificate: optional',
      `    plugins: [{ name: mtls-auth, config: { allow: ["sha256:${seen}"] } }]\n`,
    )
    expect([(await call(guarded.url, ORDERS)).status, (await call(guarded.url, OTHER)).status]).toEqual([200, 403])
  })

  it('says what is wrong with its part of the file', () => {
    const routes = [{ path: '/', service: 'a' }]
    const tls = { cert: 'c', key: 'k', client_certificate: 'required' as const }
    expect(() => defineGateway({ tls, routes })).toThrow(/"client_certificate: required" without "ca"/)
    expect(() => defineGateway({ tls: { cert: 'c' } as never, routes })).toThrow(/needs "key"/)
    const plugins = [{ name: 'mtls-auth' as const, config: { allow: ['sha256:12'] } }]
    expect(() => defineGateway({ routes: [{ path: '/', service: 'a', plugins }] })).toThrow(/a fingerprint/)
  })

  it('reads no name that could be read in two ways', () => {
    expect(sansOf('DNS:a.example, URI:spiffe://shop/orders, IP Address:127.0.0.1')).toEqual(['a.example', 'spiffe://shop/orders'])
    // CVE-2021-44532: a name with a comma in it looked like two.
    expect(sansOf('URI:"http://a.example/, DNS:evil.example"')).toEqual([])
  })
})
