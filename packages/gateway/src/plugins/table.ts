import { type CompressionConfig, compression } from './compression.ts'
import { type CorsConfig, cors } from './cors.ts'
import { type IpRestrictionConfig, ipRestriction } from './ip-restriction.ts'
import { type JwtConfig, jwt } from './jwt.ts'
import { type KeyAuthConfig, keyAuth } from './key-auth.ts'
import { type MtlsAuthConfig, mtlsAuth } from './mtls-auth.ts'
import type { Plugin } from './plugin.ts'
import { type ProxyCacheConfig, proxyCache } from './proxy-cache.ts'
import { type RateLimitingConfig, rateLimiting } from './rate-limiting.ts'
import { type RequestValidatorConfig, requestValidator } from './request-validator.ts'
import { requestTransformer, responseTransformer, type TransformerConfig } from './transformers.ts'

/** The built-in plugins and their configs. A new plugin is a file beside this one, a line here and a line below. */
export interface PluginConfigs {
  jwt: JwtConfig
  'key-auth': KeyAuthConfig
  'mtls-auth': MtlsAuthConfig
  'ip-restriction': IpRestrictionConfig
  'rate-limiting': RateLimitingConfig
  'proxy-cache': ProxyCacheConfig
  'request-validator': RequestValidatorConfig
  compression: CompressionConfig
  cors: CorsConfig
  'request-transformer': TransformerConfig
  'response-transformer': TransformerConfig
}

/** The built-in plugins by the names that a file uses. */
export const plugins: { readonly [Name in keyof PluginConfigs]: Plugin<PluginConfigs[Name]> } = {
  jwt,
  'key-auth': keyAuth,
  'mtls-auth': mtlsAuth,
  'ip-restriction': ipRestriction,
  'rate-limiting': rateLimiting,
  'proxy-cache': proxyCache,
  'request-validator': requestValidator,
  compression,
  cors,
  'request-transformer': requestTransformer,
  'response-transformer': responseTransformer,
}

/** Plugins by name. */
export type PluginTable = Readonly<Record<string, Plugin>>

/** A plugin on a route: a built-in one, or one of your own, whose name has a colon so that it never meets one to come. */
export type PluginConfig =
  | { [Name in keyof PluginConfigs]: { readonly name: Name; readonly config?: Partial<PluginConfigs[Name]> } }[keyof PluginConfigs]
  | { readonly name: `${string}:${string}`; readonly config?: Readonly<Record<string, unknown>> }
