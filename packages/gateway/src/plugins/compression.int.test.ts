import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { get, request } from 'node:http'
import { brotliDecompressSync, createBrotliDecompress, createGunzip, gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { defineGateway } from '../config-file.ts'
import { origin, rawAnswer, start, until } from '../test/harness.ts'

const LONG = 'a long text, again and again. '.repeat(200)

async function compressing(handler: RequestListener | string[], config: object = {}) {
  const addresses = Array.isArray(handler) ? handler : [(await origin(handler)).address]
  const plugins = [{ name: 'compression' as const, config }]
  const { url } = await start({ routes: [{ path: '/', service: 'a', retries: 0, plugins }] }, { a: addresses })
  return url
}

/** An answer as its bytes came, and whether it was whole. */
function raw(
  url: string,
  accept: string | undefined = 'gzip',
  method = 'GET',
): Promise<{ response: IncomingMessage; bytes: Buffer; isWhole: boolean }> {
  return new Promise((resolve, reject) => {
    request(url, { method, agent: false, headers: accept === undefined ? {} : { 'accept-encoding': accept } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', () => undefined)
      response.on('close', () => resolve({ response, bytes: Buffer.concat(chunks), isWhole: response.complete }))
    })
      .on('error', reject)
      .end()
  })
}

const textHandler: RequestListener = (_, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', etag: '"1"', vary: 'Origin' }).end(LONG)
}

describe('compression', () => {
  it('compresses what the client wants compressed, and says so', async () => {
    const url = await compressing(textHandler)
    const zipped = await raw(url, 'gzip')
    expect(gunzipSync(zipped.bytes).toString()).toBe(LONG)
    expect(zipped.bytes.length).toBeLessThan(LONG.length / 10)
    expect(zipped.response.headers).toMatchObject({ 'content-encoding': 'gzip', etag: 'W/"1"', vary: 'Origin, Accept-Encoding' })
    const best = await raw(url, 'gzip, br')
    expect([best.response.headers['content-encoding'], brotliDecompressSync(best.bytes).toString()]).toEqual(['br', LONG])
  })

  it('leaves it as it is for others, and tells caches that it depends', async () => {
    const { response, bytes } = await raw(await compressing(textHandler), 'identity')
    expect([response.headers['content-encoding'], bytes.toString(), response.headers.vary]).toEqual([
      undefined,
      LONG,
      'Origin, Accept-Encoding',
    ])
    expect(response.headers['content-length']).toBe(String(LONG.length))
  })

  it('compresses streams as they come, and never makes a cut one look whole', async () => {
    const url = await compressing((incoming, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      for (let n = 0; n < 200; n += 1) response.write(LONG)
      if (incoming.url === '/cut') setTimeout(() => response.destroy(), 50)
      else response.end()
    })
    const good = await raw(`${url}/`)
    expect([good.isWhole, gunzipSync(good.bytes).length]).toEqual([true, 200 * LONG.length])
    const cut = await raw(`${url}/cut`)
    expect(cut.isWhole).toBe(false)
  })

  it('lets go of the service when the client leaves', async () => {
    let isClosed = false
    const url = await compressing((_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' })
      response.on('close', () => {
        isClosed = true
      })
      const more = () => {
        if (!isClosed) response.write(`${Math.random()}`.repeat(10_000), () => setImmediate(more))
      }
      more()
    })
    await new Promise<void>((resolve) => {
      const asked = get(url, { agent: false, headers: { 'accept-encoding': 'gzip' } }, (response) => {
        response.once('data', () => {
          asked.destroy()
          resolve()
        })
      })
      asked.on('error', () => undefined)
    })
    await expect.poll(() => isClosed, { timeout: 20_000 }).toBe(true)
  })

  it.each([
    ['gzip', createGunzip],
    ['br', createBrotliDecompress],
  ])('hands on with %s what has come, while the rest is still to come', async (encoding, decompressor) => {
    let open: ServerResponse | undefined
    const url = await compressing((_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' }).write('first line\n')
      open = response
    })
    let text = ''
    get(url, { agent: false, headers: { 'accept-encoding': encoding } }, (response) => {
      response.pipe(decompressor()).on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
    })
    await until(() => text === 'first line\n', 'the first line')
    open?.end('last line\n')
    await until(() => text === 'first line\nlast line\n', 'the last line')
  })

  it('tells of HEAD what it would tell of GET', async () => {
    const { response, bytes } = await raw(await compressing(textHandler), 'gzip', 'HEAD')
    expect([response.headers['content-encoding'], response.headers['content-length'], bytes.length]).toEqual(['gzip', undefined, 0])
  })

  it.each([
    ['short', { 'content-type': 'text/plain', 'content-length': '2' }, 'ok'],
    ['an image', { 'content-type': 'image/png' }, LONG],
    ['events', { 'content-type': 'text/event-stream' }, LONG],
    ['not to be changed', { 'content-type': 'text/plain', 'cache-control': 'public, no-transform' }, LONG],
    ['encoded already', { 'content-type': 'text/plain', 'content-encoding': 'zstd' }, LONG],
    ['of no type', {}, LONG],
    ['sealed', { 'content-type': 'text/plain', 'content-digest': 'sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:' }, LONG],
    ['sealed in the old way', { 'content-type': 'text/plain', 'content-md5': 'RBNvo1WzZ4oRRq0W9+hknp==' }, LONG],
  ])('leaves what is %s', async (_, headers, body) => {
    const { response, bytes } = await raw(await compressing((_, answer) => answer.writeHead(200, headers).end(body)))
    expect([response.headers['content-encoding'] === 'gzip', bytes.toString()]).toEqual([false, body])
  })

  it('leaves parts, and answers without a body', async () => {
    const { address } = await rawAnswer(
      `HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-9/6000\r\nContent-Length: 10\r\n\r\n0123456789`,
    )
    const part = await raw(await compressing([address], { min_bytes: 0 }))
    expect([part.response.statusCode, part.bytes.toString()]).toEqual([206, '0123456789'])
    const none = await raw(await compressing((_, response) => response.writeHead(204).end(), { min_bytes: 0 }))
    expect([none.response.statusCode, none.bytes.length]).toEqual([204, 0])
    const html = { 'content-type': 'text/html', 'content-length': '0', location: '/' }
    const empty = await raw(await compressing((_, response) => response.writeHead(302, html).end(), { min_bytes: 0 }))
    expect([empty.response.headers['content-encoding'], empty.bytes.length]).toEqual([undefined, 0])
  })

  it('refuses what is no content type', () => {
    const plugins = [{ name: 'compression' as const, config: { types: ['json'] } }]
    expect(() => defineGateway({ routes: [{ path: '/', service: 'a', plugins }] })).toThrow(/a content type/)
  })
})
