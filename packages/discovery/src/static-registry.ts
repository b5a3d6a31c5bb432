import { type Instance, type Registry, type Snapshot, shown } from '@banyan/core'

/** Where a service is: `127.0.0.1:3001`, `[::1]:3001`, `orders.internal:80`, or with its weight and the rest. */
export type StaticAddress = string | (Partial<Instance> & Pick<Instance, 'host' | 'port'>)

/**
 * A registry that is a fixed list: `staticRegistry({ orders: ['127.0.0.1:3001'] })`. For tests, and where addresses are
 * known and something else keeps them healthy. Registering changes nothing; a service not in the list has no instances.
 *
 * @throws {TypeError} for an address that is not `host:port`
 * @throws {RangeError} for a port or a weight that is not 1 to 65535
 */
export function staticRegistry(services: Readonly<Record<string, readonly StaticAddress[]>>): Registry {
  const known = new Map(
    Object.entries(services).map(([service, addresses]) => [service, addresses.map((address) => toInstance(service, address))]),
  )
  return {
    register: () => Promise.resolve({ deregister: () => Promise.resolve() }),
    watch(service, onChange) {
      const snapshot: Snapshot = { instances: known.get(service) ?? [], revision: 1, stale: false }
      let stopped = false
      // Not at once: whoever watches may still be setting up what onChange uses.
      queueMicrotask(() => {
        if (!stopped) onChange(snapshot)
      })
      return {
        stop() {
          stopped = true
        },
      }
    },
  }
}

function toInstance(service: string, address: StaticAddress): Instance {
  const given = typeof address === 'string' ? parseAddress(service, address) : address
  const { host, port } = given
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new RangeError(`cannot list service "${service}": the port of "${host}:${port}" is not 1 to 65535`)
  const { weight = 1 } = typeof address === 'string' ? {} : address
  if (!(weight >= 1 && weight <= 65_535))
    throw new RangeError(`cannot list service "${service}": the weight of "${host}:${port}" is ${shown(weight)}, wanted 1 to 65535`)
  return { id: `${service}@${host}:${port}`, ...given, service }
}

function parseAddress(service: string, address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d+)$/.exec(address)
  if (!match) throw new TypeError(`cannot list service "${service}": "${address}" is not host:port, as in "127.0.0.1:3001"`)
  return { host: match[1] ?? match[2] ?? '', port: Number(match[3]) }
}
