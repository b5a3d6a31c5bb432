import type { Logger, Registry, World } from '@banyan/core'
import { protocolRegistry, routeTable, ServiceError, type TransportRequest, type Upstream, upstream } from '@banyan/service/internal'
import type { ChannelCredentials } from '@grpc/grpc-js'
import { type Channels, channels } from './channels.ts'
import type { ProtoMethod } from './proto-model.ts'
import { type GrpcContract, loadProto } from './proto-text.ts'

/** A service as a transport calls it: its methods, its instances and the connections to them. */
export interface GrpcTarget {
  /** The method of a request, with the parameters of its path; `undefined` when the operation has no gRPC. */
  methodOf(request: TransportRequest): { readonly method: ProtoMethod; readonly params: Readonly<Record<string, string>> } | undefined
  /** An instance to call. @throws {ServiceError} `ERR_SERVICE_UNAVAILABLE` when none is known in time */
  pick(timeoutMs: number, tried: ReadonlySet<string>): Promise<Picked>
  /** Whether an instance is known that was not tried. */
  hasOthers(tried: ReadonlySet<string>): boolean
  readonly connections: Channels
  close(): void
}

export type Picked = NonNullable<ReturnType<Upstream['pick']>>

export interface GrpcTargetOptions {
  registry: Registry
  maxResponseBytes: number
  credentials: ChannelCredentials | undefined
  world: World
  log: Logger
}

/** Creates a {@link GrpcTarget}. Nothing is watched before the first `pick`. */
export function grpcTarget(contract: GrpcContract, options: GrpcTargetOptions): GrpcTarget {
  const { registry, world, log } = options
  const service = contract.api.name
  const routes = routeTable<ProtoMethod>()
  for (const method of loadProto(contract).methods) routes.add(method.operation.method, method.operation.path, method)
  const connections = channels(options)
  let watched: Upstream | undefined

  function instances(): Upstream {
    watched ??= upstream({ registry: pruning(protocolRegistry(registry, 'grpc'), connections), service, world, log })
    return watched
  }

  return {
    methodOf({ method, path }) {
      const match = routes.match(method, path.split('?')[0] ?? '')
      return match.kind === 'found' ? { method: match.value, params: match.params } : undefined
    },
    async pick(timeoutMs, tried) {
      const first = instances().pick(tried)
      if (first) return first
      await instances().ready(timeoutMs)
      const later = instances().pick(tried)
      if (later) return later
      const message = `no healthy instance of "${service}" that answers gRPC is known; does it run, with grpc(), and is it registered?`
      throw new ServiceError('ERR_SERVICE_UNAVAILABLE', message, { status: 503 })
    },
    hasOthers: (tried) =>
      instances()
        .snapshot()
        .instances.some(({ id }) => !tried.has(id)),
    connections,
    close() {
      watched?.stop()
      connections.close()
    },
  }
}

/** Where an instance is called. */
export function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The registry, whose news also let go of the connections to instances that are no more. */
function pruning(registry: Registry, connections: Channels): Registry {
  return {
    ...registry,
    watch: (service, onChange) =>
      registry.watch(service, (snapshot) => {
        connections.keep(new Set(snapshot.instances.map(addressOf)))
        onChange(snapshot)
      }),
  }
}
