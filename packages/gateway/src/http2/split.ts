import type { Server } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { World } from '@banyan/core'
import type { Http2Front } from './front.ts'

/** Connections that agreed on HTTP/2 go to their own front; the others stay with the server. */
export function splitByAlpn(server: TlsServer, front: Http2Front): void {
  const http1 = takeListeners(server, 'secureConnection')
  server.on('secureConnection', (socket) => (socket.alpnProtocol === 'h2' ? front.take(socket) : http1(socket)))
}

export interface PrefaceOptions {
  /** How long a connection may take to say what it speaks, milliseconds. */
  readonly firstBytesMs: number
  readonly world: World
}

/**
 * Connections that begin as HTTP/2 does go to its front; the others stay with the server.
 *
 * @returns closes those that have said nothing yet, which neither of the two knows
 */
export function splitByPreface(server: Server, front: Http2Front, { firstBytesMs, world }: PrefaceOptions): () => void {
  const undecided = new Set<Socket>()
  const http1 = takeListeners(server, 'connection')
  server.on('connection', (socket: Socket) => {
    undecided.add(socket)
    let first: Buffer = Buffer.alloc(0)
    const late = world.after(firstBytesMs, () => socket.destroy())
    const onData = (bytes: Buffer) => {
      first = first.length === 0 ? bytes : Buffer.concat([first, bytes])
      const spoken = protocolOf(first)
      if (spoken === undefined) return
      settle()
      socket.pause()
      socket.unshift(first)
      if (spoken === 'http2') return front.take(socket)
      http1(socket)
      socket.resume()
    }
    const onGone = () => {
      settle()
      socket.destroy()
    }
    const settle = () => {
      late.cancel()
      undecided.delete(socket)
      socket.off('data', onData).off('end', onGone).off('error', onGone).off('close', onGone)
    }
    socket.on('data', onData).on('end', onGone).on('error', onGone).on('close', onGone)
  })
  return () => {
    for (const socket of undecided) socket.destroy()
  }
}

/** @see RFC 9113, section 3.4 */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** What a connection speaks by its first bytes; `undefined`: that takes more of them. */
export function protocolOf(first: Uint8Array): 'http1' | 'http2' | undefined {
  const length = Math.min(first.length, PREFACE.length)
  if (PREFACE.compare(first, 0, length, 0, length) !== 0) return 'http1'
  return length === PREFACE.length ? 'http2' : undefined
}

function takeListeners(server: Server, event: 'connection' | 'secureConnection'): (socket: Socket) => void {
  const listeners = server.listeners(event)
  server.removeAllListeners(event)
  return (socket) => {
    for (const listener of listeners) listener.call(server, socket)
  }
}
