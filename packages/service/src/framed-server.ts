import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import { type Component, codeOf, type Logger, shown, sleep, type World } from '@banyan/core'
import { ServiceError } from './errors.ts'
import { type FramedSession, framedSession, LEAST_FRAME_BYTES } from './framed-session.ts'
import { FRAMED_PORT_META, HEAD_ROOM_BYTES } from './framed-wire.ts'
import type { ServiceContext } from './service-context.ts'

export interface FramedOptions {
  /** Default 0: any free one. It is told to the registry either way, in the instance's meta. */
  port?: number
  /** Larger frames end their connection, bytes. Default: 1 MiB, as large as bodies may be over HTTP, and 64 KiB of headers. */
  maxFrameBytes?: number
  /** How many calls of one connection are handled at once; further ones are not read before. Default 1,000. */
  maxInFlight?: number
  /** How long a connection may take to its first frame, milliseconds. Default 10,000. */
  helloTimeoutMs?: number
}

/** How often a server that closes looks whether its connections are gone, milliseconds. */
const SWEEP_MS = 25

/** How long a connection may be silent before the system asks whether the other machine is there, milliseconds. */
const KEEP_ALIVE_MS = 30_000

/**
 * Offers a service's contracts over framed connections too, for services that call each other often: `orders.use(framed())`. One
 * socket a caller, many calls at once on it; the same contracts, deadlines and headers as over HTTP, which stays there for all
 * others. Listens on the service's own address. Callers come by `framedTransport`.
 *
 * @throws {RangeError} for an option out of range. `start` rejects with {@link ServiceError} `ERR_PORT_TAKEN`, `ERR_LISTEN_FAILED`
 */
export function framed(options: FramedOptions = {}): Component<ServiceContext> {
  const { port = 0, maxFrameBytes = 1024 * 1024 + HEAD_ROOM_BYTES, maxInFlight = 1_000, helloTimeoutMs = 10_000 } = options
  const wants = (name: string, value: number, least: number) => {
    if (!(value >= least && Number.isFinite(value)))
      throw new RangeError(`cannot offer framed connections: "${name}" is ${shown(value)}, wanted a number from ${least}`)
  }
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535))
    throw new RangeError(`cannot offer framed connections: "port" is ${shown(port)}, wanted a whole number from 0 to 65535`)
  wants('maxFrameBytes', maxFrameBytes, LEAST_FRAME_BYTES)
  wants('maxInFlight', maxInFlight, 1)
  wants('helloTimeoutMs', helloTimeoutMs, 1)
  const sessions = new Map<Socket, FramedSession>()
  let server: Server | undefined

  function accept(context: ServiceContext, socket: Socket): void {
    const { service, log, world } = context
    const from = `${socket.remoteAddress}:${socket.remotePort}`
    // Only for the hello: a connection that is idle later costs nothing.
    const timer = world.after(helloTimeoutMs, () => socket.destroy())
    const session = framedSession({
      ...{ service, socket, maxFrameBytes, maxInFlight, handle: context.endpoint.over('http') },
      onHello: () => timer.cancel(),
      onBroken: (error) => log.warn({ from }, `closed the framed connection of ${from} to "${service}": ${error.message}`),
    })
    sessions.set(socket, session)
    socket.once('close', () => {
      timer.cancel()
      sessions.delete(socket)
    })
    socket.setNoDelay(true)
    // A client that vanished without a word would hold its connection for ever.
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
  }

  return {
    name: 'framed',
    async start(context) {
      const listening = createServer({ noDelay: true }, (socket) => accept(context, socket))
      server = listening
      const bound = await listen(listening, context, port)
      context.announce({ [FRAMED_PORT_META]: String(bound) })
      context.onDrain((finishMs) => close(listening, sessions, { ...context, finishMs }))
    },
    async stop() {
      server?.close()
      for (const socket of sessions.keys()) socket.destroy()
    },
  }
}

interface CloseOptions {
  readonly service: string
  readonly world: World
  readonly log: Logger
  readonly finishMs: number
}

/** Takes no more connections, asks the clients to leave, and cuts off those that have not after `finishMs`. */
async function close(server: Server, sessions: Map<Socket, FramedSession>, options: CloseOptions): Promise<void> {
  const { service, world, log, finishMs } = options
  server.close()
  for (const session of sessions.values()) session.leave()
  const until = world.monotonic() + finishMs
  while (sessions.size > 0 && world.monotonic() < until) await sleep(world, SWEEP_MS)
  if (sessions.size === 0) return
  log.warn({ connections: sessions.size }, `cutting ${sessions.size} framed connections of "${service}" still there after ${finishMs} ms`)
  for (const socket of sessions.keys()) socket.destroy()
}

function listen(server: Server, { service, host, log }: ServiceContext, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => reject(listenError(service, host, port, cause))
    server.once('error', onError)
    server.listen({ host, port }, () => {
      server.off('error', onError)
      // As that for HTTP does.
      server.on('error', (error) => log.warn({ error }, `a framed connection to "${service}" could not be accepted: ${error.message}`))
      // A server that listens on a port has an address of this kind.
      resolve((server.address() as AddressInfo).port)
    })
  })
}

function listenError(service: string, host: string, port: number, cause: Error): ServiceError {
  const action = `cannot offer framed connections to service "${service}"`
  if (codeOf(cause) !== 'EADDRINUSE')
    return new ServiceError('ERR_LISTEN_FAILED', `${action} on ${host}:${port}: ${cause.message}`, { cause })
  return new ServiceError('ERR_PORT_TAKEN', `${action}: port ${port} on ${host} is taken; stop what listens there or choose another port`, {
    cause,
  })
}
