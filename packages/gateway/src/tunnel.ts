import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { GatewayResponse } from './exchange.ts'

/** Tells the client that the protocol is switched, then passes bytes both ways until either side closes. */
export async function connectTunnel(client: Duplex, { headers }: GatewayResponse, upstream: Duplex): Promise<void> {
  client.write(headOf(101, ['connection', 'Upgrade', 'upgrade', 'websocket', ...headers]), 'latin1')
  // A side that breaks takes the other down with it, which is all that can be done about it here.
  await Promise.allSettled([pipeline(client, upstream), pipeline(upstream, client)])
}

/** Answers on a bare connection and closes it. */
export function writeRaw(socket: Duplex, { status, headers, body }: GatewayResponse): void {
  const text = typeof body === 'string' ? body : ''
  const head = headOf(status, [...headers, 'content-length', String(Buffer.byteLength(text)), 'connection', 'close'])
  socket.on('error', () => socket.destroy())
  socket.end(head + text, () => socket.destroy())
}

function headOf(status: number, headers: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  return `${head}\r\n`
}
