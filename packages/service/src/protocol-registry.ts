import type { Instance, Protocol, Registry } from '@banyan/core'

/** What an instance says of itself in its `meta` when it answers a protocol on a port of its own: `{ 'grpc-port': '50051' }`. */
export function portMeta(protocol: Protocol, port: number): Record<string, string> {
  return { [keyOf(protocol)]: String(port) }
}

/**
 * A registry as the callers of one protocol see it: the instances that say they answer it, with that port. The others are not there.
 */
export function protocolRegistry(registry: Registry, protocol: Protocol): Registry {
  return {
    register: (instance) => registry.register(instance),
    watch: (service, onChange) =>
      registry.watch(service, (snapshot) => {
        onChange({ ...snapshot, instances: snapshot.instances.flatMap((instance) => atPort(instance, protocol)) })
      }),
  }
}

function atPort(instance: Instance, protocol: Protocol): Instance[] {
  const port = Number(instance.meta?.[keyOf(protocol)])
  return Number.isInteger(port) && port >= 1 && port <= 65_535 ? [{ ...instance, port }] : []
}

function keyOf(protocol: Protocol): string {
  return `${protocol}-port`
}
