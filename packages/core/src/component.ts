import type { Bus } from './bus.ts'
import { CodedError } from './coded-error.ts'
import type { Database } from './database.ts'
import type { World } from './world.ts'

/**
 * Anything with a life inside a service: an HTTP server, a consumer, a relay, a saga worker, your own. Components start in
 * the order they were added and stop in reverse.
 */
export interface Component<Context extends ComponentContext = ComponentContext> {
  /** Unique in its service; health reports and logs use it. */
  readonly name: string
  /** Resolves when it works. A rejection stops the service. */
  start(context: Context): Promise<void>
  /** Finishes what is in flight, then frees everything. Called also after a `start` that failed half-way. */
  stop(): Promise<void>
  /** Left out: always healthy. */
  health?(): Promise<Health>
}

export interface Health {
  readonly healthy: boolean
  /** For people: what is wrong, or how things stand. */
  readonly detail?: string
}

/** What a component is given when it starts. */
export interface ComponentContext {
  /** The service's name. */
  readonly service: string
  /** The id of this process's instance of it, new at each start. */
  readonly instanceId: string
  readonly world: World
  readonly log: Logger
  readonly database: Database | undefined
  readonly bus: Bus | undefined
}

/** Structured logs, fields first. pino's shape. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** Whether lines of a level are written: what is said often need not be put together for nobody. Left out: they are. */
  isLevelEnabled?(level: 'debug' | 'info' | 'warn' | 'error'): boolean
}

/** The codes of {@link ComponentError}. */
export type ComponentErrorCode = 'ERR_NO_DATABASE' | 'ERR_NO_BUS' | 'ERR_NO_STORE'

/** A service lacks what a component of it needs. */
export class ComponentError extends CodedError<ComponentErrorCode> {}

/** @throws {ComponentError} `ERR_NO_DATABASE` when the service has none */
export function databaseOf(context: ComponentContext, component: string): Database {
  if (context.database) return context.database
  throw new ComponentError(
    'ERR_NO_DATABASE',
    `cannot start "${component}": the service "${context.service}" has no database; give service() one, as in { database: sqlite('data/${context.service}.db') }`,
  )
}

/** @throws {ComponentError} `ERR_NO_BUS` when the service has none */
export function busOf(context: ComponentContext, component: string): Bus {
  if (context.bus) return context.bus
  throw new ComponentError(
    'ERR_NO_BUS',
    `cannot start "${component}": the service "${context.service}" has no bus; give service() one, as in { bus: sqliteBus('data/bus.db') }`,
  )
}

/** A logger that keeps silent, for tests. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {}, isLevelEnabled: () => false }
