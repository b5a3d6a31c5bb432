import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf, type Logger, messageOf, type Timer, type World } from '@banyan/core'
import { DiscoveryError } from './errors.ts'
import { newRegistry, type RegistryState } from './registry-index.ts'
import { readSavedState, toSaved } from './registry-saved.ts'

/** At most this share of the time goes into writing; what changes in between is written together. */
const writingShare = 0.1
/** How long to wait before trying again to write, milliseconds. */
const retryMs = 1_000
/** Keeps a registry's state in a file. */
export interface RegistryFile {
  /** Writes `state` soon: at once, when nothing was written lately. */
  save(state: RegistryState): void
  /** Resolves when all that was saved so far is on the disk, or when the disk refused it, which the log says and which is tried on. */
  saved(): Promise<void>
  /** Writes what is not written yet. */
  close(): Promise<void>
}

/**
 * Reads the state that {@link registryFile} wrote; an empty one when there is none. Every TTL starts anew, so that a registry
 * that was away does not take living instances for dead. A damaged file is moved aside and said in the log.
 *
 * @throws {DiscoveryError} `ERR_STATE_FILE` when the file or its folder cannot be used
 */
export async function loadRegistry(file: string, world: World, log: Logger): Promise<RegistryState> {
  try {
    await mkdir(dirname(file), { recursive: true })
    const text = await readFile(file, 'utf8')
    const saved = readSaved(text, world)
    if (saved.ok) return saved.state
    const aside = `${file}.damaged-${world.now()}`
    await rename(file, aside)
    log.error(
      { file, aside, error: saved.error },
      `the registry's state file is damaged: ${saved.error}; moved it to "${aside}", starting empty`,
    )
    return freshRegistry(world)
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return freshRegistry(world)
    throw new DiscoveryError('ERR_STATE_FILE', `cannot use the registry's state file "${file}": ${messageOf(cause)}`, { cause })
  }
}

/**
 * A registry that knows nothing. Its indexes begin at the time: beyond those of an earlier life at this address, whose state is not
 * known, so that nobody who waits with one of them takes a state of now for the one of then.
 */
export function freshRegistry(world: World): RegistryState {
  return newRegistry(Math.max(1, Math.floor(world.now())))
}

/** Writes states to `file`, each whole or not at all: a crash leaves the one before. */
export function registryFile(file: string, world: World, log: Logger): RegistryFile {
  let pending: RegistryState | undefined
  let timer: Timer | undefined
  let writing: Promise<void> = Promise.resolve()
  let nextAt = 0
  let waiting: (() => void)[] = []

  async function write(): Promise<void> {
    timer = undefined
    const [state, waiters] = [pending, waiting]
    if (!state) return
    pending = undefined
    waiting = []
    const started = world.monotonic()
    try {
      await writeWhole(file, `${JSON.stringify(toSaved(state), undefined, 1)}\n`)
      nextAt = world.monotonic() + (world.monotonic() - started) / writingShare
    } catch (error) {
      log.error({ file, error: messageOf(error) }, `cannot write the registry's state file "${file}"; trying on`)
      pending ??= state
      timer ??= world.after(retryMs, enqueue)
    }
    for (const done of waiters) done()
  }
  const enqueue = () => {
    writing = writing.then(write)
  }
  return {
    save(state) {
      pending = state
      timer ??= world.after(Math.max(0, nextAt - world.monotonic()), enqueue)
    },
    saved: () => (pending ? new Promise((resolve) => waiting.push(resolve)) : writing),
    async close() {
      timer?.cancel()
      enqueue()
      await writing
      timer?.cancel()
    },
  }
}

async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = `${file}.tmp`
  const handle = await open(temporary, 'w')
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
}

function readSaved(text: string, world: World): { ok: true; state: RegistryState } | { ok: false; error: string } {
  try {
    return { ok: true, state: readSavedState(JSON.parse(text), world) }
  } catch (error) {
    // Whatever is wrong with it, the caller moves it aside and says so.
    return { ok: false, error: messageOf(error) }
  }
}
