import { type Logger, type Registry, systemWorld } from '@banyan/core'
import { consulRegistry, staticRegistry } from '@banyan/discovery'
import { type Gateway, type GatewayOptions, gateway } from '@banyan/gateway'
import { startTelemetry } from '@banyan/otel'
import { redisRateLimits } from '@banyan/redis'
import type { GatewayPlan } from './process-plan.ts'

/** A gateway with what it stands on. */
export interface GatewayParts {
  readonly gateway: Gateway
  metrics(): Promise<string>
  /** Stops the gateway, then what it stood on. */
  stop(): Promise<void>
}

/** Puts a gateway together for a process of its own. */
export function gatewayParts(plan: GatewayPlan, log: Logger, more: Partial<GatewayOptions> = {}): GatewayParts {
  const { file, registryUrl, port } = plan
  const telemetry = startTelemetry({ service: 'gateway', env: process.env })
  const found = registryUrl === undefined ? undefined : consulRegistry({ url: registryUrl, log })
  const registry: Registry = found ?? staticRegistry({})
  const rateLimits = (url: string) => redisRateLimits({ url, world: systemWorld, log })
  const made = gateway({ file, registry, rateLimits, log, metrics: telemetry.metricsText, ...(port !== undefined && { port }), ...more })
  return {
    gateway: made,
    metrics: telemetry.metricsText,
    async stop() {
      await made.stop()
      await found?.close()
      await telemetry.stop()
    },
  }
}
