import type { Component } from '@banyan/core'
import { portMeta, type ServiceContext } from '@banyan/service/internal'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { contractService } from './contract-service.ts'
import { GrpcError } from './errors.ts'
import { type HealthService, healthService } from './health.ts'
import { type ProtoFile, serviceNameOf } from './proto-model.ts'
import { type GrpcContract, loadProto } from './proto-text.ts'
import { addReflection } from './reflection.ts'

export interface GrpcOptions {
  /** What is served, by the operations that have gRPC among their protocols. Each must be served by `serve` before. */
  contracts: readonly GrpcContract[]
  /** Default 0: any free one, which the registry tells the others as `grpc-port`. */
  port?: number
  /** Larger requests are refused with RESOURCE_EXHAUSTED, bytes. Default 1 MiB. */
  maxMessageBytes?: number
  /** How many calls one connection may have running. Default 1,000. */
  maxConcurrentCalls?: number
  /** Whether tools may ask what there is to call. Default true: the port is for the inside. */
  reflection?: boolean
  /** How soon those who watch the health service hear of a change, milliseconds. Default 250. */
  healthPollMs?: number
  /** For TLS. Default: none, as between the services of one network. */
  credentials?: ServerCredentials
}

/**
 * Serves contracts over gRPC on a port of their own, with the standard health service and reflection. A call is answered by the service's
 * endpoint: same validation, deadline, trace, metrics and log as over HTTP. At a stop the port takes no new calls (GOAWAY) together with
 * HTTP, and those in flight have the service's `finishMs`.
 *
 * `start` throws {@link GrpcError} `ERR_GRPC_LISTEN_FAILED`, and `ERR_GRPC_CONTRACT` when the service does not serve what is to be served.
 *
 * @throws {GrpcError} `ERR_GRPC_CONTRACT`, `ERR_PROTO_MISSING`, `ERR_PROTO_STALE`, `ERR_PROTO_INVALID`
 * @throws {RangeError} for an option out of range
 */
export function grpc(options: GrpcOptions): Component<ServiceContext> {
  const { contracts, port = 0, maxMessageBytes = 1024 * 1024, maxConcurrentCalls = 1_000, reflection = true, healthPollMs = 250 } = options
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`cannot serve gRPC: "port" is ${port}, wanted a whole number from 0 to 65535`)
  }
  for (const [option, value] of Object.entries({ maxMessageBytes, maxConcurrentCalls, healthPollMs })) {
    if (!(Number.isInteger(value) && value >= 1))
      throw new RangeError(`cannot serve gRPC: "${option}" is ${value}, wanted a whole number from 1`)
  }
  const { credentials = ServerCredentials.createInsecure() } = options
  const files = contracts.map(loadProto)
  let close: ((finishMs: number) => Promise<void>) | undefined

  return {
    name: 'grpc',
    async start(context) {
      assertServed(files, context)
      const server = new Server({
        'grpc.max_receive_message_length': maxMessageBytes,
        // What a service answers is its own to bound.
        'grpc.max_send_message_length': -1,
        'grpc.max_concurrent_streams': maxConcurrentCalls,
        // A caller that vanished without a word is noticed, and its calls ended.
        'grpc.keepalive_time_ms': 30_000,
        'grpc.keepalive_timeout_ms': 10_000,
      })
      for (const file of files) {
        const { definition, implementation } = contractService(file, context)
        server.addService(definition, implementation)
      }
      const health = healthService({
        ...{ world: context.world, pollMs: healthPollMs, services: files.map(serviceNameOf) },
        isReady: async () => (await context.health()).status === 'ready',
      })
      health.addTo(server)
      if (reflection) addReflection(server, files)
      close = closer(server, health, context)
      context.onDrain(close)
      const bound = await bind(server, context, port, credentials)
      context.announce(portMeta('grpc', bound))
      context.log.info({ port: bound }, `"${context.service}" answers gRPC on port ${bound}`)
    },
    async stop() {
      // Closed already, unless a start failed half-way.
      await close?.(1_000)
    },
  }
}

function assertServed(files: readonly ProtoFile[], { endpoint, service }: ServiceContext): void {
  const missing = files.flatMap(({ methods }) => methods).find(({ operationName }) => !endpoint.serves(operationName))
  if (!missing) return
  const message = `cannot serve "${missing.operationName}" over gRPC: the service "${service}" does not answer it; add serve() of its contract before grpc()`
  throw new GrpcError('ERR_GRPC_CONTRACT', message)
}

function bind(server: Server, { host, service }: ServiceContext, port: number, credentials: ServerCredentials): Promise<number> {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (cause, bound) => {
      if (!cause) return resolve(bound)
      const message = `cannot serve gRPC of "${service}": cannot listen on ${address}: ${cause.message}`
      reject(new GrpcError('ERR_GRPC_LISTEN_FAILED', message, { cause }))
    })
  })
}

/** No new calls; those in flight have nearly `finishMs`, so that cutting them is within it too. */
function closer(server: Server, health: HealthService, { world, log, service }: ServiceContext): (finishMs: number) => Promise<void> {
  let closed: Promise<void> | undefined
  const shutDown = async (mostMs: number) => {
    await health.close()
    await new Promise<void>((resolve) => {
      const timer = world.after(mostMs, () => {
        log.warn({}, `cutting calls over gRPC of "${service}" that did not finish within ${Math.round(mostMs)} ms`)
        server.forceShutdown()
        resolve()
      })
      server.tryShutdown(() => {
        timer.cancel()
        resolve()
      })
    })
  }
  return (finishMs) => {
    closed ??= shutDown(finishMs * 0.9)
    return closed
  }
}
