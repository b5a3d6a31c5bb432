import { withoutPassword } from '@banyan/core'
import type { GatewayConfig, RouteConfig } from './config.ts'

/** What differs between two configurations. */
export interface ConfigDiff {
  /** Keys at the top of the file, but for the routes. */
  readonly settings: readonly KeyChange[]
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly { readonly route: string; readonly keys: readonly KeyChange[] }[]
}

/** A key that is another; `undefined` where it is not there. */
export interface KeyChange {
  readonly key: string
  readonly before: unknown
  readonly after: unknown
}

/**
 * Compares two configurations route by route. Routes are the same when they have the same name, or without one the same path, methods and
 * hosts; where several have, by their order among those.
 */
export function diffConfigs(before: GatewayConfig, after: GatewayConfig): ConfigDiff {
  const { routes: oldRoutes, ...oldSettings } = before
  const { routes: newRoutes, ...newSettings } = after
  const [old, now] = [byIdentity(oldRoutes), byIdentity(newRoutes)]
  return {
    settings: changedKeys(oldSettings, newSettings),
    added: [...now.keys()].filter((route) => !old.has(route)),
    removed: [...old.keys()].filter((route) => !now.has(route)),
    changed: [...now].flatMap(([route, config]) => {
      const keys = changedKeys(old.get(route) ?? config, config)
      return keys.length === 0 ? [] : [{ route, keys }]
    }),
  }
}

/** Whether there is a difference at all. */
export function isEmptyDiff({ settings, added, removed, changed }: ConfigDiff): boolean {
  return settings.length + added.length + removed.length + changed.length === 0
}

/** A diff for people, a line each. */
export function describeDiff(diff: ConfigDiff): string[] {
  const line = ({ key, before, after }: KeyChange) => `${key}: ${shown(before)} -> ${shown(after)}`
  return [
    ...diff.settings.map((change) => `~ ${line(change)}`),
    ...diff.removed.map((route) => `- route ${route}`),
    ...diff.added.map((route) => `+ route ${route}`),
    ...diff.changed.flatMap(({ route, keys }) => [`~ route ${route}`, ...keys.map((change) => `    ${line(change)}`)]),
  ]
}

function byIdentity(routes: readonly RouteConfig[]): Map<string, RouteConfig> {
  const found = new Map<string, RouteConfig>()
  for (const route of routes) {
    const { name, path, methods = [], hosts = [] } = route
    const identity = name ?? [methods.join('|'), hosts.join('|') + path].filter(Boolean).join(' ')
    let unique = identity
    for (let n = 2; found.has(unique); n += 1) unique = `${identity} (${n})`
    found.set(unique, route)
  }
  return found
}

function changedKeys(before: object, after: object): KeyChange[] {
  const [old, now] = [new Map<string, unknown>(Object.entries(before)), new Map<string, unknown>(Object.entries(after))]
  return [...new Set([...old.keys(), ...now.keys()])]
    .map((key) => ({ key, before: old.get(key), after: now.get(key) }))
    .filter(({ before: one, after: other }) => JSON.stringify(one) !== JSON.stringify(other))
    .map(({ key, before: one, after: other }) => ({ key, before: withoutSecret(key, one), after: withoutSecret(key, other) }))
}

/** Values come from variables; what they hide stays hidden. */
function withoutSecret(key: string, value: unknown): unknown {
  if (key === 'admin_token' && value !== undefined) return '***'
  return key === 'redis' && typeof value === 'string' ? withoutPassword(value) : value
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value)
}
