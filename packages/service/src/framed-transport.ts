import { type Instance, type Logger, messageOf, shown, type World } from '@banyan/core'
import { balancedTransport } from './balanced-transport.ts'
import { type FramedConnection, openFramed } from './framed-connection.ts'
import { FRAMED_PORT_META, HEAD_ROOM_BYTES } from './framed-wire.ts'
import { sendHttp } from './http-send.ts'
import { type HttpTransportOptions, httpAgent, httpSettings, originOf } from './http-transport.ts'
import { endOf, type Transport, type TransportRequest, type TransportResponse } from './transport.ts'

export interface FramedTransportOptions extends HttpTransportOptions {
  /** How long a framed connection may be without a call, or without a sign of life from the other side, milliseconds. Default 30,000. */
  idleMs?: number
  /** After a framed port that could not be reached, how long calls go over HTTP before it is tried again, milliseconds. Default 5,000. */
  retryAfterMs?: number
}

/** How this process stands with the framed port of one instance. */
type Peer =
  | { readonly kind: 'opening'; readonly connection: Promise<FramedConnection | undefined> }
  | { readonly kind: 'open'; readonly connection: FramedConnection }
  /** It could not be reached; until then, on the world's monotonic clock, it is not tried. */
  | { readonly kind: 'away'; readonly until: number }

/**
 * Creates a transport for services that call each other often: one socket to each instance that offers it (`framed()`), many
 * calls at once on it, those of one turn of the event loop in one write or few. Policies, deadlines, balancing and what callers see are
 * as with `httpTransport`. Everything else goes over HTTP: instances that do not offer it, those whose framed port cannot be
 * reached, and requests that are too large for a frame.
 *
 * @throws {RangeError} for an option out of range
 */
export function framedTransport(options: FramedTransportOptions): Transport {
  const settings = httpSettings('create framed transport', options)
  const { idleMs = 30_000, retryAfterMs = 5_000 } = options
  for (const [name, value] of Object.entries({ idleMs, retryAfterMs })) {
    if (!(value >= 1 && Number.isFinite(value)))
      throw new RangeError(`cannot create framed transport: "${name}" is ${shown(value)}, wanted a number from 1`)
  }
  const { connectTimeoutMs, maxResponseBytes, world, log } = settings
  const agent = httpAgent(settings)
  const peers = framedPeers({
    ...{ idleMs, retryAfterMs, connectTimeoutMs, world, log },
    maxFrameBytes: maxResponseBytes + HEAD_ROOM_BYTES,
  })

  function send(request: TransportRequest, instance: Instance): Promise<TransportResponse> {
    const found = peers.of(instance)
    return found instanceof Promise ? found.then((connection) => sendBy(connection, request, instance)) : sendBy(found, request, instance)
  }

  function sendBy(connection: FramedConnection | undefined, request: TransportRequest, instance: Instance): Promise<TransportResponse> {
    const end = endOf(request)
    if (end.aborted) return Promise.reject(end.reason)
    return connection?.call(request) ?? sendHttp(agent, originOf(instance), request)
  }

  return balancedTransport({
    ...settings,
    send,
    async close() {
      peers.close()
      await agent.destroy()
    },
  })
}

interface PeersOptions {
  readonly idleMs: number
  readonly retryAfterMs: number
  readonly connectTimeoutMs: number
  readonly maxFrameBytes: number
  readonly world: World
  readonly log: Logger
}

interface FramedPeers {
  /** The connection to an instance, one that is being made, or `undefined` where there is none to be had. */
  of(instance: Instance): FramedConnection | Promise<FramedConnection | undefined> | undefined
  close(): void
}

/** One connection a peer. */
function framedPeers(options: PeersOptions): FramedPeers {
  const { retryAfterMs, world, log } = options
  const peers = new Map<string, Peer>()
  let closed = false

  async function open(id: string, instance: Instance, port: number): Promise<FramedConnection | undefined> {
    const { host, service } = instance
    try {
      const connection = await openFramed({ ...options, host, port, service })
      if (closed) connection.close()
      peers.set(id, { kind: 'open', connection })
      void connection.closed.then(() => forget(id, connection))
      return connection
    } catch (error) {
      log.info({ service, host, port }, `no framed connection to "${service}" at ${host}:${port}, using HTTP: ${messageOf(error)}`)
      peers.set(id, { kind: 'away', until: world.monotonic() + retryAfterMs })
      return undefined
    }
  }

  function forget(id: string, connection: FramedConnection): void {
    const peer = peers.get(id)
    if (peer?.kind === 'open' && peer.connection === connection) peers.delete(id)
  }

  /** Instances come and go; those that are away leave nothing behind for ever. */
  function prune(): void {
    const now = world.monotonic()
    for (const [id, peer] of peers) if (peer.kind === 'away' && peer.until <= now) peers.delete(id)
  }

  return {
    of(instance) {
      const text = instance.meta?.[FRAMED_PORT_META]
      if (text === undefined) return undefined
      const peer = peers.get(instance.id)
      if (peer?.kind === 'open' && peer.connection.open) return peer.connection
      if (peer?.kind === 'opening') return peer.connection
      if (peer?.kind === 'away' && world.monotonic() < peer.until) return undefined
      const port = Number(text)
      if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined
      prune()
      const connection = open(instance.id, instance, port)
      peers.set(instance.id, { kind: 'opening', connection })
      return connection
    },
    close() {
      closed = true
      for (const peer of peers.values()) if (peer.kind === 'open') peer.connection.close()
    },
  }
}
