import { type Logger, type Registry, silentLogger, systemWorld, type World } from '@banyan/core'
import {
  isTimeout,
  ServiceError,
  type Transport,
  type TransportRequest,
  type TransportResponse,
  wasNeverSent,
} from '@banyan/service/internal'
import type { ChannelCredentials } from '@grpc/grpc-js'
import { type GrpcCall, requestBytes, sendCall } from './grpc-call.ts'
import { grpcTarget } from './grpc-target.ts'
import type { GrpcContract } from './proto-text.ts'

export interface GrpcTransportOptions {
  /** Where services are found: their instances that answer gRPC. */
  registry: Registry
  /** What is called over gRPC, with the same .proto as the services have. */
  contracts: readonly GrpcContract[]
  /** Where calls of other operations go. Default: they fail. */
  fallback?: Transport
  /** How long a call waits for the first instance of a service to be known, milliseconds. Default 2,000. */
  waitMs?: number
  /** Larger answers are an error. Default 16 MiB. */
  maxResponseBytes?: number
  /** For TLS. Default: none. */
  credentials?: ChannelCredentials
  world?: World
  log?: Logger
}

/** How many instances one attempt tries to connect to. */
const MAX_CONNECTS = 3

/**
 * Creates a transport over gRPC: give it to `client()`, and nothing else changes for who calls. Instances are found by the registry and
 * balanced over; one connection each.
 *
 * @throws {GrpcError} `ERR_GRPC_CONTRACT`, `ERR_PROTO_MISSING`, `ERR_PROTO_STALE`, `ERR_PROTO_INVALID`
 * @throws {RangeError} for an option out of range
 */
export function grpcTransport(options: GrpcTransportOptions): Transport {
  const { registry, contracts, fallback, waitMs = 2_000, maxResponseBytes = 16 * 1024 * 1024, credentials } = options
  const { world = systemWorld, log = silentLogger } = options
  for (const [name, value] of Object.entries({ waitMs, maxResponseBytes })) {
    if (!(value >= 1)) throw new RangeError(`cannot create gRPC transport: "${name}" is ${value}, wanted a number from 1`)
  }
  const made = { registry, maxResponseBytes, credentials, world, log }
  const targets = new Map(contracts.map((contract) => [contract.api.name, grpcTarget(contract, made)]))
  let closed = false

  return {
    async call(request) {
      const { service, signal, tried = new Set<string>(), timeoutMs = waitMs } = request
      if (closed) throw unavailable(`cannot call "${service}": the transport is closed`)
      const target = targets.get(service)
      const found = target?.methodOf(request)
      if (!target || !found) {
        if (fallback) return fallback.call(request)
        throw unavailable(
          `cannot call "${service}" over gRPC: no contract given has ${request.method} ${request.path} with "grpc" among its protocols`,
        )
      }
      const { method, params } = found
      const call = { method, bytes: requestBytes(method, params, request), connections: target.connections, world }
      for (let connects = 1; ; connects += 1) {
        signal.throwIfAborted()
        const picked = await target.pick(Math.min(waitMs, timeoutMs), tried)
        tried.add(picked.instance.id)
        try {
          return await observed({ ...call, picked }, request)
        } catch (error) {
          // Nothing was sent, so it is no attempt yet: one dead instance among others must not open the service's breaker.
          if (connects >= MAX_CONNECTS || !target.hasOthers(tried) || !wasNeverSent(error)) throw error
        }
      }
    },
    async close() {
      closed = true
      for (const target of targets.values()) target.close()
      await fallback?.close()
    },
  }
}

/** One call to one instance, which the balancer learns from. */
async function observed(call: GrpcCall, request: TransportRequest): Promise<TransportResponse> {
  const { picked, world } = call
  const started = world.monotonic()
  const done = (ok: boolean) => picked.done({ ok, latencyMs: world.monotonic() - started })
  try {
    const response = await sendCall(call, request)
    done(response.status < 500)
    return response
  } catch (error) {
    // Too slow is the instance's fault; a caller that changed its mind is not.
    done(request.signal.aborted && !isTimeout(request.signal.reason))
    throw error
  }
}

function unavailable(message: string): ServiceError {
  return new ServiceError('ERR_SERVICE_UNAVAILABLE', message, { status: 503 })
}
