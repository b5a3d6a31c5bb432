import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { messageOf, type World } from '@banyan/core'
import type { AbortListener } from '@banyan/resilience'
import { GatewayError } from '../errors.ts'
import type { UpstreamAnswer, UpstreamRequest } from '../upstream-client.ts'
import { Connection } from './connection.ts'
import { type SharedReading, sharedReading } from './shared-reading.ts'

export interface PoolOptions {
  /** `http://127.0.0.1:3001`. */
  readonly origin: string
  readonly world: World
  /** The most connections at a time; more requests wait. */
  readonly maxConnections: number
  /** How long connecting may take, milliseconds. */
  readonly connectTimeoutMs: number
  /** How long an unused connection is kept where the other side does not say, milliseconds. */
  readonly keepAliveMs: number
}

/** A request that has no connection yet. */
interface Waiting extends AbortListener {
  readonly request: UpstreamRequest
  readonly resolve: (answer: UpstreamAnswer) => void
  readonly reject: (error: unknown) => void
}

/** Off what the other side says: its answer and our next request pass each other on the way. */
const MARGIN_MS = 1_000

/**
 * The connections to one upstream. The one used last is used first, so that few are kept when little is to do. A request that finds none
 * takes the first that is free or opened, whichever comes first.
 */
export class Pool {
  readonly #options: PoolOptions
  readonly #host: string
  readonly #all = new Set<Connection>()
  readonly #idle: Connection[] = []
  readonly #waiting: Waiting[] = []
  readonly #opening = new Set<Socket>()

  constructor(options: PoolOptions) {
    this.#options = options
    this.#host = new URL(options.origin).host
  }

  /** @throws what {@link UpstreamClient.send} throws */
  send(request: UpstreamRequest): Promise<UpstreamAnswer> {
    return new Promise((resolve, reject) => {
      const { cancellation, isUpgrade } = request
      const kept = cancellation.aborted || isUpgrade ? undefined : this.#takeIdle()
      if (cancellation.aborted) reject(cancellation.reason)
      else if (isUpgrade) this.#sendAlone(request, resolve, reject)
      else if (kept) kept.send(request, resolve, reject)
      else this.#enqueue(request, resolve, reject)
    })
  }

  /** Closes connections that nobody has used for too long. @returns how many are left, used ones too */
  sweep(): number {
    for (const one of [...this.#idle]) if (!this.#isGood(one)) one.destroy()
    return this.#all.size + this.#opening.size
  }

  destroy(): void {
    const reason = new Error('the gateway closes its connections')
    // First of all: a connection that closes is opened anew for who waits.
    for (let one = this.#nextWaiting(); one; one = this.#nextWaiting()) one.reject(this.#unreachable(reason))
    for (const socket of this.#opening) socket.destroy(reason)
    for (const one of this.#all) one.destroy()
  }

  /** The newest that the other side has not closed, and is not about to. */
  #takeIdle(): Connection | undefined {
    for (let found = this.#idle.pop(); found; found = this.#idle.pop()) {
      if (this.#isGood(found)) return found
      found.destroy()
    }
    return undefined
  }

  #isGood({ idleSince, keptForMs }: Connection): boolean {
    const { world, keepAliveMs } = this.#options
    const kept = keptForMs === undefined ? keepAliveMs : Math.min(keepAliveMs, keptForMs - MARGIN_MS)
    return world.monotonic() - idleSince < kept
  }

  #enqueue(request: UpstreamRequest, resolve: Waiting['resolve'], reject: Waiting['reject']): void {
    const onAbort = (reason: unknown) => {
      this.#waiting.splice(this.#waiting.indexOf(one), 1)
      reject(reason)
    }
    const one: Waiting = { request, resolve, reject, onAbort }
    request.cancellation.listen(one)
    this.#waiting.push(one)
    this.#openMore()
  }

  /** A request that may turn its connection into a tunnel has one of its own. */
  #sendAlone(request: UpstreamRequest, resolve: Waiting['resolve'], reject: Waiting['reject']): void {
    const onAbort = (reason: unknown) => {
      socket.destroy()
      reject(reason)
    }
    const listener: AbortListener = { onAbort }
    const socket = openSocket(this.#options, undefined, (error) => {
      this.#opening.delete(socket)
      request.cancellation.unlisten(listener)
      if (request.cancellation.aborted) socket.destroy()
      else if (error) reject(this.#unreachable(error))
      else this.#adopt(socket, undefined, (one) => one.destroy()).send(request, resolve, reject)
    })
    this.#opening.add(socket)
    request.cancellation.listen(listener)
  }

  #adopt(socket: Socket, reading: SharedReading | undefined, onIdle: (connection: Connection) => void): Connection {
    const { origin, world } = this.#options
    const made = new Connection({ socket, reading, origin, host: this.#host, world, onIdle, onClosed: this.#onClosed })
    this.#all.add(made)
    return made
  }

  #unreachable(cause: Error): GatewayError {
    return new GatewayError('ERR_UPSTREAM_UNREACHABLE', `${this.#options.origin} cannot be reached: ${messageOf(cause)}`, { cause })
  }

  #openMore(): void {
    const { maxConnections } = this.#options
    while (this.#opening.size < this.#waiting.length && this.#opening.size + this.#all.size < maxConnections) this.#open()
  }

  #open(): void {
    // TLS has its own buffers.
    const reading = this.#options.origin.startsWith('https:') ? undefined : sharedReading()
    const socket = openSocket(this.#options, reading, (error) => {
      this.#opening.delete(socket)
      if (error) this.#onFailed(error)
      else this.#serve(this.#adopt(socket, reading, this.#serve))
    })
    this.#opening.add(socket)
  }

  /** The oldest hears of it; the others have their own tries. */
  #onFailed(cause: Error): void {
    this.#nextWaiting()?.reject(this.#unreachable(cause))
    this.#openMore()
  }

  #nextWaiting(): Waiting | undefined {
    const one = this.#waiting.shift()
    one?.request.cancellation.unlisten(one)
    return one
  }

  /** A connection is free: for who waits longest, or for later. */
  readonly #serve = (free: Connection): void => {
    const one = this.#nextWaiting()
    if (one) free.send(one.request, one.resolve, one.reject)
    else this.#idle.push(free)
  }

  readonly #onClosed = (gone: Connection): void => {
    this.#all.delete(gone)
    const index = this.#idle.indexOf(gone)
    if (index >= 0) this.#idle.splice(index, 1)
    this.#openMore()
  }
}

/** Opens a socket; `done` is called once, when it is open or has failed. Certificates are verified. */
function openSocket(
  { origin, world, connectTimeoutMs }: PoolOptions,
  reading: SharedReading | undefined,
  done: (error?: Error) => void,
): Socket {
  const { protocol, hostname, port } = new URL(origin)
  const isTls = protocol === 'https:'
  // Of an IPv6 address the URL has the brackets.
  const host = hostname.replace(/^\[|\]$/g, '')
  const to = { host, port: Number(port || (isTls ? 443 : 80)), noDelay: true }
  const socket = isTls
    ? connectTls({ ...to, ...(isIP(host) ? {} : { servername: host }), ALPNProtocols: ['http/1.1'] })
    : connectTcp({ ...to, ...(reading && { onread: reading.onread }) })
  const settle = (error?: Error) => {
    timer.cancel()
    socket.off('error', settle).off('close', onClose)
    // Errors after this one have nobody to hear them, and must not end the process.
    if (error) socket.on('error', () => undefined).destroy()
    done(error)
  }
  const onClose = () => settle(new Error('the connection was closed before it was open'))
  const timer = world.after(connectTimeoutMs, () => settle(new Error(`no connection within ${connectTimeoutMs} ms`)))
  socket
    .once(isTls ? 'secureConnect' : 'connect', () => settle())
    .once('error', settle)
    .once('close', onClose)
  return socket
}
