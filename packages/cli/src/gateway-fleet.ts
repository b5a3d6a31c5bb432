import { CliError } from './errors.ts'
import { type FleetOptions, type FleetProcess, fleetPlace } from './fleet-place.ts'

export interface GatewayFleetOptions extends FleetOptions {
  /** How many processes, from 1. */
  readonly processes: number
}

/** Several processes of one gateway on one port. This one carries no traffic. */
export interface GatewayFleet {
  /** @throws {CliError} `ERR_PROCESS_FAILED`; nothing is left running */
  start(): Promise<{ readonly url: string }>
  /** Has every process take the file as it is now. @throws {CliError} `ERR_RELOAD_REFUSED` with what those said that did not */
  reload(): Promise<void>
  /** Replaces one process after the other: the new one listens before the old one stops. @throws {CliError} as `start`; then the rest stays; `ERR_RELOAD_REFUSED` after `stop` */
  restart(): Promise<void>
  processes(): Promise<readonly FleetProcess[]>
  /** Sends a signal to a process, for trials; it is started again. */
  kill(index: number, signal: NodeJS.Signals): Promise<void>
  stop(): Promise<void>
}

/**
 * Creates a {@link GatewayFleet}. Each place in it has a listening socket of its own (SO_REUSEPORT: the system spreads the connections evenly),
 * which this process keeps open while whoever sits there comes and goes: connections that wait in it are served by the next one. So neither
 * a restart nor a kill -9 loses one that nobody had taken yet.
 */
export function gatewayFleet(options: GatewayFleetOptions): GatewayFleet {
  const { processes } = options
  const places = Array.from({ length: processes }, (_, index) => fleetPlace(index, options))
  let restarting: Promise<void> = Promise.resolve()
  let isStopping = false

  async function startAll(): Promise<{ url: string }> {
    const [first, ...others] = places
    if (!first) throw new RangeError(`cannot start a gateway with ${processes} processes, wanted at least 1`)
    const { url, port } = await first.open(undefined)
    await Promise.all(others.map((place) => place.open(port)))
    return { url }
  }

  async function restartAll(): Promise<void> {
    for (const place of places) await place.replace()
  }

  return {
    async start() {
      try {
        return await startAll()
      } catch (error) {
        await Promise.all(places.map((place) => place.close()))
        throw error
      }
    },
    async reload() {
      const refusals = await Promise.all(
        places.map((place) =>
          place.ask('reload').then(
            () => [],
            (error: Error) => [error.message],
          ),
        ),
      )
      const [refusal] = refusals.flat()
      if (refusal !== undefined) throw new CliError('ERR_RELOAD_REFUSED', refusal)
    },
    async restart() {
      // The admin port hears until the last process has ended: a successor would be left over.
      if (isStopping) throw new CliError('ERR_RELOAD_REFUSED', 'cannot replace the processes: the gateway is being stopped')
      const done = restarting.then(restartAll)
      restarting = done.catch(() => undefined)
      await done
    },
    processes: () => Promise.all(places.map((place) => place.describe())),
    async kill(index, signal) {
      await places[index]?.kill(signal)
    },
    async stop() {
      isStopping = true
      await restarting
      await Promise.all(places.map((place) => place.close()))
    },
  }
}
