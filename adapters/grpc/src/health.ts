import type { World } from '@banyan/core'
import {
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { service as definition } from 'grpc-health-check'

export interface HealthServiceOptions {
  world: World
  /** Whether the service can work, asked at each check. */
  isReady: () => Promise<boolean>
  /** The names that are known beside `''`, the whole. */
  services: readonly string[]
  /** How often those who watch are told of a change, milliseconds. */
  pollMs: number
}

export interface HealthService {
  addTo(server: Server): void
  /** Tells those who watch how things stand, and ends their streams. */
  close(): Promise<void>
}

type Serving = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN'
interface HealthRequest {
  service: string
}
interface HealthAnswer {
  status: Serving
}
type Watcher = ServerWritableStream<HealthRequest, HealthAnswer>

/**
 * The standard health service, which says of each contract what `/health/ready` says of the service that answers it.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
export function healthService(options: HealthServiceOptions): HealthService {
  const { world, isReady, services, pollMs } = options
  const names = new Set(['', ...services])
  const watchers = new Map<Watcher, Serving | undefined>()
  let polling = false

  async function serving(): Promise<'SERVING' | 'NOT_SERVING'> {
    return (await isReady()) ? 'SERVING' : 'NOT_SERVING'
  }

  async function tellAll(): Promise<void> {
    const now = await serving()
    for (const [watcher, told] of watchers) {
      const next = names.has(watcher.request.service) ? now : 'SERVICE_UNKNOWN'
      if (next === told) continue
      watchers.set(watcher, next)
      watcher.write({ status: next })
    }
  }

  /** One timer for all watchers, none without them. */
  function poll(): void {
    if (polling || watchers.size === 0) return
    polling = true
    world.after(pollMs, () => {
      polling = false
      void tellAll().finally(poll)
    })
  }

  const implementation = {
    Check({ request }: ServerUnaryCall<HealthRequest, HealthAnswer>, answer: sendUnaryData<HealthAnswer>) {
      if (!names.has(request.service)) return answer({ code: status.NOT_FOUND, details: `there is no service "${request.service}" here` })
      serving().then((now) => answer(null, { status: now }), answer)
    },
    Watch(watcher: Watcher) {
      watchers.set(watcher, undefined)
      watcher.on('cancelled', () => watchers.delete(watcher))
      void tellAll().finally(poll)
    },
    List(_: unknown, answer: sendUnaryData<{ statuses: Record<string, HealthAnswer> }>) {
      serving().then((now) => answer(null, { statuses: Object.fromEntries([...names].map((name) => [name, { status: now }])) }), answer)
    },
  }

  return {
    // The package has its own copy of grpc-js's types.
    addTo: (server) => server.addService(definition as ServiceDefinition, implementation),
    async close() {
      await tellAll()
      for (const watcher of watchers.keys()) watcher.end()
      watchers.clear()
    },
  }
}

/** Encoded descriptors of the health service's own .proto, for reflection. */
export function healthDescriptors(): readonly Uint8Array[] {
  const { requestType } = (definition as unknown as { Check: { requestType: { fileDescriptorProtos: Buffer[] } } }).Check
  return requestType.fileDescriptorProtos
}
