import type { GatewayConfig } from './config.ts'
import { checkTree } from './config-schema.ts'
import { type Tree, treeOfValue, treesOfYaml } from './config-tree.ts'
import type { Environment } from './environment.ts'
import { type ConfigIssue, GatewayConfigError } from './errors.ts'
import { isResource, withHttpRoutes } from './http-route-tree.ts'
import { plugins as builtIn, type PluginTable } from './plugins/table.ts'

/** How a configuration is read. */
export interface ConfigOptions {
  /** What `${NAME}` in the file stands for. Default `process.env`. */
  env?: Environment
  /** Plugins besides the built-in ones, by name. */
  plugins?: PluginTable
}

/**
 * Reads a gateway file (YAML, or JSON, which is YAML).
 *
 * @param fileName stands in the messages
 * @throws {GatewayConfigError} `ERR_CONFIG_INVALID`, with every problem: `gateway.yaml:7:5: unknown key "strip_pth" in route 2; ...`
 */
export function parseGatewayFile(text: string, fileName: string, options: ConfigOptions = {}): GatewayConfig {
  const issues: ConfigIssue[] = []
  const tree = oneTree(treesOfYaml(text, options.env ?? process.env, issues), issues)
  if (!tree && issues.length === 0) issues.push({ at: { line: 1, column: 1 }, message: 'the file is empty; wanted at least "routes:"' })
  return checked(tree, fileName, issues, options)
}

/**
 * The typed twin of a gateway file: checks `config` by the same rules.
 *
 * @throws {GatewayConfigError} `ERR_CONFIG_INVALID`, with every problem
 */
export function defineGateway(config: GatewayConfig, options: Pick<ConfigOptions, 'plugins'> = {}): GatewayConfig {
  return checked(treeOfValue(config), 'gateway config', [], options)
}

/** The gateway file itself, and the routes of the resources beside it. */
function oneTree(trees: readonly Tree[], issues: ConfigIssue[]): Tree | undefined {
  const [file, second] = trees.filter((tree) => !isResource(tree))
  if (second) {
    const message = 'a second document that is no resource of Gateway API; wanted one gateway file, and any number of HTTPRoute'
    issues.push(second.at ? { at: second.at, message } : { message })
  }
  const resources = trees.filter(isResource)
  return resources.length === 0 ? file : withHttpRoutes(file, resources, issues)
}

function checked(tree: Tree | undefined, source: string, issues: ConfigIssue[], options: ConfigOptions): GatewayConfig {
  const value = tree && checkTree(tree, issues, { ...builtIn, ...options.plugins })
  if (issues.length > 0 || !value) throw new GatewayConfigError(source, issues.sort(byPlace))
  return value
}

function byPlace(a: ConfigIssue, b: ConfigIssue): number {
  return (a.at?.line ?? 0) - (b.at?.line ?? 0) || (a.at?.column ?? 0) - (b.at?.column ?? 0)
}
