import { check } from './config-check.ts'
import { entryOf, type MapTree, placed, plainOf, type Tree, treeOfValue } from './config-tree.ts'
import type { ConfigIssue } from './errors.ts'
import { type HttpRoute, routesOfHttpRoute, strangeNamespace } from './http-route.ts'
import { httpRouteShape } from './http-route-shape.ts'

/** Whether a document is a resource as Kubernetes has them, and no gateway file. */
export function isResource(tree: Tree): boolean {
  return entryOf(tree, 'apiVersion') !== undefined
}

/**
 * A gateway file with the routes of resources HTTPRoute behind its own. Each stands where its rule does, so that what is wrong with it is told
 * there. What is wrong with the resources goes to `issues`.
 *
 * @param file left out: there are only resources
 * @returns `undefined` when no route is left to look at
 */
export function withHttpRoutes(file: Tree | undefined, resources: readonly Tree[], issues: ConfigIssue[]): Tree | undefined {
  const own = entryOf(file, 'routes')
  const items = [...(own?.kind === 'list' ? own.items : []), ...resources.flatMap((resource) => routeTrees(resource, issues))]
  // What is wrong is told; that there are no routes then says nothing more.
  if (items.length === 0 && issues.length > 0) return undefined
  const whole: MapTree = file?.kind === 'map' ? file : { kind: 'map', entries: [] }
  const others = whole.entries.filter(({ key }) => key !== 'routes')
  const before = whole.entries.find(({ key }) => key === 'routes')
  return { ...whole, entries: [...others, { ...before, key: 'routes', value: { kind: 'list', ...(own?.at && { at: own.at }), items } }] }
}

function routeTrees(resource: Tree, issues: ConfigIssue[]): Tree[] {
  const before = issues.length
  const name = entryOf(entryOf(resource, 'metadata'), 'name')
  const place = `HTTPRoute "${name ? String(plainOf(name)) : ''}"`
  const value = check(resource, httpRouteShape, place, { issues, plugins: {}, defaults: {} })
  if (issues.length > before) return []
  // The shape has the keys of HttpRoute and of what is in it, by its types.
  const route = value as HttpRoute
  const strange = strangeNamespace(route)
  if (strange !== undefined) issues.push({ ...(resource.at && { at: resource.at }), message: `${place} ${strange}` })
  const rules = entryOf(entryOf(resource, 'spec'), 'rules')
  return routesOfHttpRoute(route).map(({ rule, route: one }) => {
    const at = (rules?.kind === 'list' ? rules.items[rule]?.at : undefined) ?? resource.at
    return at ? placed(treeOfValue(one), at) : treeOfValue(one)
  })
}
