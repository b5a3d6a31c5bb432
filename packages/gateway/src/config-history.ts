import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, messageOf, type World } from '@banyan/core'
import { GatewayError } from './errors.ts'

/** One configuration that was good. */
export interface HistoryEntry {
  /** Counts up. */
  readonly id: number
  /** ISO 8601. */
  readonly at: string
  /** How it came: `start`, `file`, `api`, `rollback to 3`. */
  readonly source: string
  readonly sha256: string
}

/** The last good configurations of a gateway, in a folder. */
export interface ConfigHistory {
  /** Newest first. */
  list(): Promise<readonly HistoryEntry[]>
  /** @throws {GatewayError} `ERR_HISTORY_UNKNOWN` (404) */
  read(id: number): Promise<string>
  /** Keeps a text, unless it is the newest one already. */
  add(text: string, source: string): Promise<void>
}

export interface ConfigHistoryOptions {
  readonly folder: string
  /** How many are kept, from 1. Default 20. */
  readonly keep?: number
  readonly world: World
}

const FILE = /^(\d{6,})\.json$/

/**
 * Creates a {@link ConfigHistory}: a file for each configuration, with its text as it was written, `${NAME}`s and all, so that no value of a
 * variable stands in it. Each is written whole or not at all.
 */
export function configHistory({ folder, keep = 20, world }: ConfigHistoryOptions): ConfigHistory {
  /** Additions go one after the other, so that each has a number of its own. */
  let adding: Promise<void> = Promise.resolve()

  async function ids(): Promise<number[]> {
    const names = await readdir(folder).catch((error) => (codeOf(error) === 'ENOENT' ? [] : Promise.reject(error)))
    return names
      .flatMap((name) => FILE.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => b - a)
  }

  /** `undefined` for one that was broken, or has gone meanwhile: the others are good all the same. */
  async function load(id: number): Promise<(HistoryEntry & { readonly text: string }) | undefined> {
    try {
      // Written by add().
      return JSON.parse(await readFile(fileOf(folder, id), 'utf8'))
    } catch {
      return undefined
    }
  }

  async function addNow(text: string, source: string): Promise<void> {
    const known = await ids()
    const [newest = 0] = known
    const sha256 = createHash('sha256').update(text).digest('hex')
    if (newest > 0 && (await load(newest))?.sha256 === sha256) return
    await mkdir(folder, { recursive: true })
    const entry = { id: newest + 1, at: new Date(world.now()).toISOString(), source, sha256, text }
    await writeWhole(fileOf(folder, entry.id), `${JSON.stringify(entry, undefined, 1)}\n`)
    for (const old of known.slice(keep - 1)) await rm(fileOf(folder, old), { force: true })
  }

  return {
    async list() {
      const entries = await Promise.all((await ids()).map(load))
      return entries.flatMap((entry) => (entry ? [{ id: entry.id, at: entry.at, source: entry.source, sha256: entry.sha256 }] : []))
    },
    async read(id) {
      const known = await ids()
      const entry = known.includes(id) ? await load(id) : undefined
      if (entry) return entry.text
      const there = known.length === 0 ? 'there is none yet' : `there are ${known.at(-1)} to ${known[0]}`
      const what = known.includes(id)
        ? `configuration ${id} of the history cannot be read: "${fileOf(folder, id)}" is broken`
        : `there is no configuration ${id} in the history; ${there}`
      throw new GatewayError('ERR_HISTORY_UNKNOWN', what, { status: 404 })
    },
    add(text, source) {
      const done = adding.then(() => addNow(text, source))
      adding = done.catch(() => undefined)
      return done
    },
  }
}

/**
 * Replaces a file by a text: whoever reads it finds the old one or the new one, whole. A link stays one. Those may read it who could before; what is
 * new, who runs this.
 */
export async function writeWhole(file: string, text: string): Promise<void> {
  const place = await realpath(file).catch(() => file)
  const temporary = `${place}.${process.pid}.tmp`
  try {
    const mode = await stat(place).then(
      (before) => before.mode & 0o777,
      () => 0o600,
    )
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.chmod(mode)
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, place)
  } catch (cause) {
    throw new GatewayError('ERR_FILE_UNWRITABLE', `cannot write "${file}": ${messageOf(cause)}`, { cause })
  }
}

function fileOf(folder: string, id: number): string {
  return join(folder, `${String(id).padStart(6, '0')}.json`)
}
