import { readFile, rm } from 'node:fs/promises'
import { type Logger, messageOf, type World } from '@banyan/core'
import type { GatewayConfig } from './config.ts'
import { type ConfigDiff, diffConfigs } from './config-diff.ts'
import { parseGatewayFile } from './config-file.ts'
import { type ConfigHistory, configHistory, type HistoryEntry, writeWhole } from './config-history.ts'
import type { Environment } from './environment.ts'
import { GatewayError } from './errors.ts'
import { watchFile } from './file-watch.ts'
import type { PluginTable } from './plugins/table.ts'

export interface ManagedFileOptions {
  readonly file: string
  /** Where good configurations are kept. Default: `<file>.history`. */
  readonly historyFolder?: string | undefined
  readonly env?: Environment | undefined
  /** Plugins besides the built-in ones. */
  readonly plugins?: PluginTable | undefined
  /** What the gateway has taken already. Default: the file as it is now. */
  readonly inForce?: string | undefined
  /** Makes the gateway take the file as it is now. Rejects when it does not. */
  readonly apply: () => Promise<void>
  readonly world: World
  readonly log: Logger
}

/** A gateway file that is changed while the gateway runs. The file stays the one source: every change goes through it. */
export interface ManagedFile {
  /** The configuration in force, as it was written, and as it was understood. */
  running(): { readonly text: string; readonly config: GatewayConfig }
  /** @throws {GatewayConfigError} with every problem and its line */
  check(text: string): GatewayConfig
  /** What taking a text, or without one the file as it is now, would change. @throws {GatewayConfigError} */
  diff(text?: string): Promise<ConfigDiff>
  /** Takes the file as it is now, or first replaces it by a text. A bad one changes nothing. @throws {GatewayConfigError} */
  reload(text?: string, source?: string): Promise<ConfigDiff>
  history(): Promise<readonly HistoryEntry[]>
  /** Replaces the file by an earlier configuration. */
  rollback(id: number): Promise<ConfigDiff>
  stop(): void
}

/**
 * Watches over a gateway file, for the admin port: what is changed on the disk is taken, and kept when that has succeeded.
 *
 * @throws {GatewayConfigError} for a file that is not good; {@link GatewayError} `ERR_FILE_UNREADABLE`
 */
export async function managedFile(options: ManagedFileOptions): Promise<ManagedFile> {
  const { file, historyFolder: folder = `${file}.history`, apply, world, log } = options
  const history: ConfigHistory = configHistory({ folder, world })
  const check = (text: string) =>
    parseGatewayFile(text, file, { ...(options.env && { env: options.env }), ...(options.plugins && { plugins: options.plugins }) })
  const readText = () =>
    readFile(file, 'utf8').catch((cause) => {
      throw new GatewayError('ERR_FILE_UNREADABLE', `cannot read the gateway file "${file}": ${messageOf(cause)}`, { cause })
    })
  const read = async () => {
    const text = await readText()
    return { text, config: check(text) }
  }
  const { inForce } = options
  let running = inForce === undefined ? await read() : { text: inForce, config: check(inForce) }
  /** Changes go one after the other. */
  let changing: Promise<unknown> = Promise.resolve()

  async function keep(next: typeof running, source: string): Promise<void> {
    running = next
    // A history that cannot be written is no reason not to take a good configuration.
    await history
      .add(next.text, source)
      .catch((error) => log.error({ folder, error: messageOf(error) }, `cannot keep the configuration in "${folder}"`))
  }

  async function reloadNow(text: string | undefined, source: string): Promise<ConfigDiff> {
    const next = text === undefined ? await read() : { text, config: check(text) }
    const diff = diffConfigs(running.config, next.config)
    if (text === undefined) await apply()
    else await replace(text)
    await keep(next, source)
    return diff
  }

  /** What the gateway does not take does not stay in the file either. */
  async function replace(text: string): Promise<void> {
    // It may have vanished: going back to one of the history is what helps then.
    const before = await readFile(file, 'utf8').catch(() => undefined)
    await writeWhole(file, text)
    await apply().catch(async (error) => {
      await (before === undefined ? rm(file, { force: true }) : writeWhole(file, before))
      throw error
    })
  }

  function reload(text?: string, source: string = text === undefined ? 'file' : 'api'): Promise<ConfigDiff> {
    const done = changing.then(() => reloadNow(text, source))
    changing = done.catch(() => undefined)
    return done
  }

  async function onFileChange(): Promise<void> {
    await changing
    if ((await readText()) !== running.text) await reload()
  }

  await keep(running, 'start')
  const watching = watchFile(file, onFileChange, { world, log })
  return {
    running: () => running,
    check,
    diff: async (text) => diffConfigs(running.config, text === undefined ? (await read()).config : check(text)),
    reload,
    history: () => history.list(),
    rollback: async (id) => reload(await history.read(id), `rollback to ${id}`),
    stop: () => watching.stop(),
  }
}
