import { type Bus, type ComponentContext, type Database, type Logger, systemWorld } from '@banyan/core'

/** Only what should not happen in a benchmark, on stderr. */
export const troubleLog: Logger = {
  debug() {},
  info() {},
  warn: (fields, message) => console.error('warning:', message, fields),
  error: (fields, message) => console.error('error:', message, fields),
}

/** What a component of ours is started with, outside a service. */
export function contextOf(service: string, parts: { database?: Database; bus?: Bus }): ComponentContext {
  return {
    service,
    instanceId: systemWorld.uuid(),
    world: systemWorld,
    log: troubleLog,
    database: parts.database,
    bus: parts.bus,
  }
}
