import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Place, startProxy } from './contestants.ts'
import { residentBytes } from './process-stat.ts'

/** What a large upload needs of a proxy's memory. */
export interface Upload {
  readonly bytes: number
  readonly seconds: number
  /** The most that the process had while it lasted, less what it had before. */
  readonly rssGrowthMb: number
}

const PIECE = Buffer.alloc(65_536)
const SMALL_BYTES = 33_554_432
const LOOK_EVERY_MS = 20

/** Uploads so many bytes through ours to an upstream that throws them away. */
export async function measureUpload(bytes: number, place: Place): Promise<Upload> {
  let received = 0
  const sink = createServer((incoming, response) => {
    incoming.on('data', (data: Buffer) => {
      received += data.length
    })
    incoming.on('end', () => response.end())
  }).listen(0, '127.0.0.1')
  await once(sink, 'listening')
  // A server that listens on a port has an address of this kind.
  const proxy = await startProxy('banyan', { ...place, originPort: (sink.address() as AddressInfo).port })
  try {
    // What a first upload of any size needs stays: buffers, compiled code.
    await upload(proxy.port, SMALL_BYTES)
    received = 0
    const before = residentBytes(proxy.pid)
    let most = before
    const looking = setInterval(() => {
      most = Math.max(most, residentBytes(proxy.pid))
    }, LOOK_EVERY_MS)
    const startedAt = performance.now()
    await upload(proxy.port, bytes).finally(() => clearInterval(looking))
    if (received !== bytes) throw new Error(`the upstream got ${received} bytes of ${bytes}`)
    return { bytes, seconds: (performance.now() - startedAt) / 1_000, rssGrowthMb: (most - before) / 1_048_576 }
  } finally {
    await proxy.stop()
    sink.closeAllConnections()
    sink.close()
  }
}

async function upload(port: number, bytes: number): Promise<void> {
  const sent = request({ port, host: '127.0.0.1', method: 'POST', path: '/upload', headers: { 'content-length': bytes }, agent: false })
  const answered = once(sent, 'response')
  // Waited for below; before that a failure shows where the next piece is written.
  answered.catch(() => undefined)
  for (let rest = bytes; rest > 0; rest -= PIECE.length) {
    const piece = rest < PIECE.length ? PIECE.subarray(0, rest) : PIECE
    if (!sent.write(piece)) await Promise.race([once(sent, 'drain'), answered])
  }
  sent.end()
  const [response] = await answered
  response.resume()
  if (response.statusCode !== 200) throw new Error(`an upload of ${bytes} bytes was answered with ${response.statusCode}`)
}
