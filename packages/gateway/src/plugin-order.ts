import type { PluginConfig } from './plugins/table.ts'

/** What is wrong with the order in which the plugins of a route run, to follow "has"; `undefined`: nothing. */
export function wrongOrder(plugins: readonly PluginConfig[], route: string): string | undefined {
  return behindCache(plugins, route) ?? limitsNobody(plugins, route)
}

const SAY_WHO_MAY_CALL = ['jwt', 'key-auth', 'mtls-auth', 'ip-restriction']

/** A cache answers before what stands behind it is asked. */
function behindCache(plugins: readonly PluginConfig[], route: string): string | undefined {
  const cache = plugins.findIndex(({ name }) => name === 'proxy-cache')
  const behind = cache < 0 ? undefined : plugins.slice(cache).find(({ name }) => SAY_WHO_MAY_CALL.includes(name))
  if (!behind) return undefined
  return `"${behind.name}" behind "proxy-cache" in ${route}, where what is kept goes to who may not call; wanted "proxy-cache" behind it`
}

/** Who tells what a limit may count by. A plugin of one's own, which has a colon in its name, may tell anything. */
const TELLS: Readonly<Record<string, readonly string[]>> = { subject: ['jwt', 'key-auth', 'mtls-auth'], claim: ['jwt'] }

/** Where nobody tells who calls, all callers of one address would share one limit. */
function limitsNobody(plugins: readonly PluginConfig[], route: string): string | undefined {
  for (const [index, plugin] of plugins.entries()) {
    const by = plugin.name === 'rate-limiting' ? String(plugin.config?.by) : ''
    const tellers = Object.hasOwn(TELLS, by) ? (TELLS[by] ?? []) : []
    const isTold = plugins.slice(0, index).some(({ name }) => tellers.includes(name) || name.includes(':'))
    if (tellers.length === 0 || isTold) continue
    const wanted = tellers.map((name) => `"${name}"`).join(', ')
    return `a rate-limiting "by: ${by}" in ${route} that no plugin before it tells; wanted ${wanted} before it`
  }
  return undefined
}
