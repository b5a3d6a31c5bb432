import { type ClientHttp2Session, connect } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { messageOf, type World } from '@banyan/core'
import { GatewayError } from '../errors.ts'
import { asSaid } from './fields.ts'

export interface SessionOptions {
  /** `http://127.0.0.1:3001` for HTTP/2 with prior knowledge, `https://...` for TLS with ALPN. */
  readonly origin: string
  readonly world: World
  readonly connectTimeoutMs: number
}

/** How much of an answer's body may be on its way before it is taken, bytes: of one request, of a connection. */
const streamWindow = 262_144
const connectionWindow = 1_048_576

/** How long the other side may take to answer a ping, milliseconds. */
const pongWithinMs = 2_000

/** For an upstream that takes any number of requests at once. */
const mostStreams = 1_000

/** A connection of HTTP/2 to an upstream, with many requests at once. */
export class Session {
  /** Requests under way. */
  streams = 0
  /** Since when there are none, in `world.monotonic()` time. */
  idleSince: number
  readonly connection: ClientHttp2Session
  readonly #options: SessionOptions
  #isProbing = false

  constructor(connection: ClientHttp2Session, options: SessionOptions) {
    this.connection = connection
    this.#options = options
    this.idleSince = options.world.monotonic()
  }

  /** Requests may begin here. */
  get isOpen(): boolean {
    return !this.connection.closed && !this.connection.destroyed
  }

  /** One more request would not have to wait. */
  get hasRoom(): boolean {
    return this.isOpen && this.streams < Math.min(mostStreams, this.connection.remoteSettings.maxConcurrentStreams ?? mostStreams)
  }

  enter(): void {
    this.streams += 1
  }

  leave(): void {
    this.streams -= 1
    this.idleSince = this.#options.world.monotonic()
  }

  /**
   * Asks whether anybody is still there, and cuts the connection when not: a machine that vanished says nothing, and requests would go on
   * being given to it.
   */
  probe(): void {
    const { world, origin } = this.#options
    if (this.#isProbing || !this.isOpen) return
    this.#isProbing = true
    const late = world.after(pongWithinMs, () => {
      this.connection.destroy(new GatewayError('ERR_UPSTREAM_FAILED', `${origin} answered no ping within ${pongWithinMs} ms`))
    })
    this.connection.ping(() => {
      late.cancel()
      this.#isProbing = false
    })
  }

  destroy(): void {
    this.connection.destroy()
  }
}

/**
 * Connects to an upstream. Certificates are verified.
 *
 * @throws {GatewayError} `ERR_UPSTREAM_UNREACHABLE`
 */
export function openSession(options: SessionOptions): Promise<Session> {
  const { origin, world, connectTimeoutMs } = options
  return new Promise((resolve, reject) => {
    const connection = connect(origin, { ...asSaid, settings: { enablePush: false, initialWindowSize: streamWindow } })
    const fail = (cause: Error) => {
      timer.cancel()
      connection.destroy()
      reject(new GatewayError('ERR_UPSTREAM_UNREACHABLE', `${origin} cannot be reached: ${messageOf(cause)}`, { cause }))
    }
    const timer = world.after(connectTimeoutMs, () => fail(new Error(`no connection within ${connectTimeoutMs} ms`)))
    const onClose = () => fail(new Error('the connection was closed before it was open'))
    // It stays: what breaks a connection is told to each of its requests, and must not end the process.
    connection.on('error', fail)
    connection.once('close', onClose)
    connection.once('connect', (_, socket) => {
      const { alpnProtocol } = socket as TLSSocket
      if (alpnProtocol !== undefined && alpnProtocol !== 'h2') fail(new Error('it speaks TLS, but not HTTP/2'))
    })
    // The first that an upstream says: how many requests at once it takes.
    connection.once('remoteSettings', () => {
      timer.cancel()
      connection.off('close', onClose)
      connection.setLocalWindowSize(connectionWindow)
      resolve(new Session(connection, options))
    })
  })
}
