import { existsSync, watch } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf, systemWorld, type Timer } from '@banyan/core'
import { runUntilSignal } from '@banyan/service'
import { Command } from 'commander'
import { CliError } from '../errors.ts'
import { oneOf, wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'
import { type RunningSystem, startSystem } from '../run-system.ts'
import { groupsOf, type SystemDefinition } from '../system.ts'

interface DevOptions {
  processes?: 'one' | 'each'
  dataDir: string
  gatewayPort: number
  watch: boolean
  json?: boolean
}

const EXAMPLES = `
Examples:
  $ banyan dev system.ts
  $ banyan dev system.ts --processes one        all services in one process
  $ banyan dev system.ts --gateway-port 0       any free port
  $ banyan dev system.ts --no-watch --json      for machines`

/** `banyan dev` */
export function devCommand(output: Output): Command {
  return new Command('dev')
    .description('run a system on this machine: registry, services, gateway; restart what changes')
    .argument('<system>', 'the system file')
    .option('--processes <shape>', 'one or each, in place of what the system says', oneOf(['one', 'each']))
    .option('--data-dir <folder>', 'where databases live', 'data')
    .option('--gateway-port <number>', '0 takes a free one', wholeNumber(0, 65_535), 8080)
    .option('--no-watch', 'do not restart on changes')
    .option('--json', 'logs as JSON')
    .addHelpText('after', EXAMPLES)
    .action((file: string, options: DevOptions) => dev(output, file, options))
}

async function dev(output: Output, file: string, options: DevOptions): Promise<void> {
  const definition = await load(file)
  const { dataDir, gatewayPort, processes } = options
  const running = await startSystem(definition, {
    baseUrl: pathToFileURL(resolve(file)).href,
    dataDir,
    gatewayPort,
    log: options.json ? 'json' : 'pretty',
    write: (line) => output.write(`${line}\n`),
    ...(processes ? { processes } : {}),
  })
  if (running.gatewayUrl) output.write(`gateway   ${running.gatewayUrl}\n`)
  output.write(`registry  ${running.registryUrl}\nready; Ctrl-C stops every process\n`)
  const stopWatching = options.watch ? restartOnChange(output, file, definition, running, options) : () => {}
  await runUntilSignal([running])
  stopWatching()
}

async function load(file: string): Promise<SystemDefinition> {
  if (!existsSync(file)) throw new CliError('ERR_SYSTEM_FILE', `there is no system file "${file}"`)
  const module: { default?: SystemDefinition } = await import(pathToFileURL(resolve(file)).href).catch((cause: unknown) => {
    throw new CliError('ERR_SYSTEM_FILE', `cannot read the system file "${file}": ${messageOf(cause)}`, { cause })
  })
  if (module.default?.services) return module.default
  throw new CliError('ERR_SYSTEM_FILE', `the system file "${file}" has no default export made by system({ ... })`)
}

/** How long a change waits for more changes, milliseconds: editors write in several steps. */
const QUIET_MS = 150

/**
 * Whether a changed file is code, so that processes have to be started anew.
 *
 * @param path as it is called from `home`, the folder of the system file
 */
export function isSource(path: string, home: string, dataDir: string): boolean {
  if (!/\.(ts|js|mts|mjs|json)$/.test(path) || /(^|\/)(node_modules|dist)\//.test(path)) return false
  const file = resolve(home, path)
  // The processes write there while they start: watched, they would be started anew for ever.
  if (isIn(file, dataDir))
    return isIn(home, dataDir) && file !== resolve(dataDir, 'registry.json') && !isIn(file, resolve(dataDir, '.cache'))
  return true
}

function isIn(path: string, folder: string): boolean {
  return `${resolve(path)}/`.startsWith(`${resolve(folder)}/`)
}

/** Restarts the processes whose services' folders changed; all of them when something else did. */
function restartOnChange(
  output: Output,
  file: string,
  definition: SystemDefinition,
  running: RunningSystem,
  { dataDir, processes }: DevOptions,
): () => void {
  const home = dirname(resolve(file))
  const changed = new Set<string>()
  let timer: Timer | undefined
  const groups = groupsOf(definition, processes)

  async function restart(): Promise<void> {
    const paths = [...changed]
    changed.clear()
    const isOf = (service: string, path: string) =>
      resolve(home, path).startsWith(`${dirname(resolve(home, definition.services[service] ?? ''))}/`)
    const everywhere = paths.some((path) => !Object.keys(definition.services).some((service) => isOf(service, path)))
    const hit = groups.filter(
      ({ services }) => services.length > 0 && (everywhere || services.some((service) => paths.some((path) => isOf(service, path)))),
    )
    output.write(`changed: ${paths.join(', ')}; restarting ${hit.map(({ name }) => name).join(', ')}\n`)
    await Promise.all(hit.map(({ name }) => running.restart(name)))
  }

  const watcher = watch(home, { recursive: true }, (_, path) => {
    if (!path || !isSource(path, home, dataDir)) return
    changed.add(path)
    timer?.cancel()
    timer = systemWorld.after(QUIET_MS, () => {
      restart().catch((error: unknown) => output.writeError(`the restart failed: ${messageOf(error)}\n`))
    })
  })
  return () => {
    timer?.cancel()
    watcher.close()
  }
}
