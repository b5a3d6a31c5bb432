import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const FOLDER = import.meta.dirname

/**
 * Brings the peers into bench/node_modules where one is missing or of another version than bench/package.json names. Their
 * installation scripts stay off: none of the peers needs one.
 *
 * @throws {Error} when npm could not
 */
export function installPeers(): void {
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(readFileSync(join(FOLDER, 'package.json'), 'utf8'))
  const missing = Object.entries(dependencies).filter(([name, version]) => peerVersion(name) !== version)
  if (missing.length === 0) return
  console.error(
    `installing the peers into bench/node_modules, once, about 330 MB: ${missing.map(([name, version]) => `${name} ${version}`).join(', ')}`,
  )
  const { status, error } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', FOLDER], {
    cwd: FOLDER,
    env: npmEnvironment(),
    // Progress belongs to stderr, as all that is not a result.
    stdio: ['ignore', 2, 2],
  })
  if (status === 0) return
  throw new Error(`cannot install the peers: "npm ci" in bench/ ended with ${status}; it needs the registry that "npm install" used`, {
    cause: error,
  })
}

/** A peer's module. Its types are the caller's own: this repository is checked without the peers. */
export async function importPeer<Module>(name: string): Promise<Module> {
  return await import(name)
}

/** A file inside an installed peer. */
export function peerFile(...path: string[]): string {
  return join(FOLDER, 'node_modules', ...path)
}

/** The URL to import a peer's inner module from, where the package does not export it. */
export function peerUrl(...path: string[]): string {
  return pathToFileURL(peerFile(...path)).href
}

/** The version of an installed peer. */
export function peerVersion(name: string): string | undefined {
  const file = peerFile(name, 'package.json')
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined
}

/** The project's own Node runs npm; what an outer `npm run` says of its project must not reach the inner one. */
function npmEnvironment(): NodeJS.ProcessEnv {
  const outer = Object.entries(process.env).filter(([name]) => !/^npm_(config_local_prefix|package|lifecycle|command)/.test(name))
  return { ...Object.fromEntries(outer), PATH: `${join(FOLDER, '..', 'node_modules', '.bin')}${delimiter}${process.env.PATH}` }
}
