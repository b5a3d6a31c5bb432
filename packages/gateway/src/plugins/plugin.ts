import type { Logger, World } from '@banyan/core'
import type { RateLimitStore } from '@banyan/resilience'
import type { MapShape } from '../config-shape.ts'
import type { Interceptor } from '../exchange.ts'

/** A plugin: the keys of its config, and a function that makes the interceptor. */
export interface Plugin<Config extends object = object> {
  /** What stands under `config:` in the file. */
  readonly config: MapShape<keyof Config & string>
  /**
   * All routes with an equal config share one interceptor and its state (fetched keys, say). Left out: each route has its own
   * (its own counts, say). Either way the state outlives a reload that does not change the config.
   */
  readonly shared?: boolean
  /** Files that belong to its config, relative to the gateway file: it is made anew when what is in them has changed. */
  files?(config: Config): readonly string[]
  /** Methods it must see although the route's `methods` leave them out. */
  readonly methods?: readonly string[]
  create(config: Config, context: PluginContext): Interceptor
}

/** What a plugin is given when it is made. */
export interface PluginContext {
  readonly world: World
  readonly log: Logger
  /** The route's name; of a shared plugin, the first route's. */
  readonly route: string
  /** Which requests the route takes, as a text: the same for this route in every gateway with this file. */
  readonly routeKey: string
  /** Where all gateways count together; `undefined` where there is no such place. */
  readonly rateLimits: RateLimitStore | undefined
  /**
   * What is in a file, relative to the gateway file; one of those that `files` names.
   *
   * @throws {GatewayError} `ERR_FILE_UNREADABLE`
   */
  textOf(file: string): string
  /** Fetches a small document, `http(s)://...` or `service://name/path` by discovery. Rejects when no answer comes. */
  fetch(url: string, options: FetchOptions): Promise<Fetched>
}

export interface FetchOptions {
  /** The whole of it, milliseconds. */
  readonly timeoutMs: number
  /** A longer answer is an error. */
  readonly maxBytes: number
}

export interface Fetched {
  readonly status: number
  readonly text: string
}
