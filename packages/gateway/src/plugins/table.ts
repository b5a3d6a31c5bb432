import { type CorsConfig, cors } from './cors.ts'
import { type JwtConfig, jwt } from './jwt.ts'
import type { Plugin } from './plugin.ts'
import { type RateLimitingConfig, rateLimiting } from './rate-limiting.ts'

/** The built-in plugins and their configs. A new plugin is a file beside this one, a line here and a line below. */
export interface PluginConfigs {
  jwt: JwtConfig
  'rate-limiting': RateLimitingConfig
  cors: CorsConfig
}

/** The built-in plugins by the names that a file uses. */
export const plugins: { readonly [Name in keyof PluginConfigs]: Plugin<PluginConfigs[Name]> } = {
  jwt,
  'rate-limiting': rateLimiting,
  cors,
}

/** Plugins by name. */
export type PluginTable = Readonly<Record<string, Plugin>>

/** A plugin on a route: a built-in one, or one of your own, whose name has a colon so that it never meets one to come. */
export type PluginConfig =
  | { [Name in keyof PluginConfigs]: { readonly name: Name; readonly config?: Partial<PluginConfigs[Name]> } }[keyof PluginConfigs]
  | { readonly name: `${string}:${string}`; readonly config?: Readonly<Record<string, unknown>> }
