import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { manualWorld, systemWorld, type World } from '@banyan/core'
import { checkFaults, type Faults } from './fault-proxy-faults.ts'
import { faultLinks } from './fault-proxy-links.ts'

export interface FaultProxyOptions {
  /** Where the real server is. */
  target: { host?: string; port: number }
  /** What goes wrong from the start. Default: nothing. */
  faults?: Faults
  /** Default 0: any free one. On 127.0.0.1. */
  port?: number
  /** Where jitter and shares are drawn from, so that a run can be repeated. Default: the world's random numbers. */
  seed?: number
  /** Latencies pass on its clock: with `manualWorld` a test decides when. Default: the system's. */
  world?: World
}

/** A TCP server in front of another, with what can go wrong between them. */
export interface FaultProxy {
  readonly host: string
  /** Stays the same until `stop`, also through `refuse`. */
  readonly port: number
  /** Connections that are there. */
  readonly connections: number
  /** Connections that were ever made. */
  readonly accepted: number
  /**
   * From now on these faults, and no others, for what comes through; resolves when it is so. What is on its way keeps the time it has.
   *
   * @throws {RangeError} {TypeError} for a fault out of range
   */
  set(faults: Faults): Promise<void>
  /** Cuts all connections that are there, with a reset. */
  cut(): void
  stop(): Promise<void>
}

/**
 * Starts a {@link FaultProxy}, for integration tests of whatever speaks TCP: `await proxy.set({ latencyMs: 200, jitterMs: 50 })`.
 *
 * @throws {RangeError} {TypeError} for a fault out of range
 */
export async function faultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { target, port: wanted = 0, seed, world = systemWorld } = options
  const { host = '127.0.0.1', port: targetPort } = target
  const random = seed === undefined ? world.random : manualWorld({ seed }).random
  let faults = options.faults ?? {}
  let accepted = 0
  checkFaults(faults)
  const links = faultLinks({ world, random, faults: () => faults })

  function accept(client: Socket): void {
    accepted += 1
    client.on('error', ignore)
    if (faults.resetShare !== undefined && random() < faults.resetShare) {
      client.resetAndDestroy()
      return
    }
    const server = connect({ host, port: targetPort, noDelay: true, allowHalfOpen: true })
    server.on('error', ignore)
    links.add(client, server)
  }

  const server = createServer({ noDelay: true, allowHalfOpen: true }, accept)
  await listening(server, wanted)
  // A server that listens on a port has an address of this kind.
  const { port } = server.address() as AddressInfo
  if (faults.refuse) server.close()

  return {
    host: '127.0.0.1',
    port,
    get connections() {
      return links.size
    },
    get accepted() {
      return accepted
    },
    async set(next) {
      checkFaults(next)
      faults = next
      if (next.refuse && server.listening) server.close()
      else if (!next.refuse && !server.listening) await listening(server, port)
      links.changed()
    },
    cut() {
      links.cut()
    },
    async stop() {
      links.cut()
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
  }
}

async function listening(server: Server, port: number): Promise<void> {
  server.listen({ host: '127.0.0.1', port })
  await once(server, 'listening')
}

/** How a connection ends is told by its close. */
function ignore(): void {}
