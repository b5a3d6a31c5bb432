import { silentLogger, systemWorld } from '@banyan/core'
import type { GatewayConfig } from './config.ts'
import { fileReader } from './file-reader.ts'
import { plugins as builtIn, type PluginTable } from './plugins/table.ts'

/**
 * Reads the files that plugins of a checked configuration name, as starting it would, for `banyan gateway check`.
 *
 * @param gatewayFile where the configuration stands: their paths are relative to it
 * @throws {GatewayError} `ERR_FILE_UNREADABLE`, `ERR_CONFIG_INVALID`
 */
export function checkPluginFiles(config: GatewayConfig, gatewayFile: string, plugins: PluginTable = {}): void {
  const known: PluginTable = { ...builtIn, ...plugins }
  const textOf = fileReader(gatewayFile)
  const context = { world: systemWorld, log: silentLogger, rateLimits: undefined, textOf, fetch: nothing, route: '', routeKey: '' }
  for (const { name, config: own = {} } of [config, ...config.routes].flatMap((each) => each.plugins ?? [])) {
    const plugin = known[name]
    if (plugin?.files && plugin.files(own).length > 0) plugin.create(own, context)
  }
}

function nothing(): Promise<never> {
  return Promise.reject(new Error('a check fetches nothing'))
}
