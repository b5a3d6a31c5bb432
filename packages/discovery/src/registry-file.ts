import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf, type Logger, messageOf, type Timer, type World } from '@banyan/core'
import { DiscoveryError } from './errors.ts'
import { newRegistry, type RegistryState } from './registry-index.ts'
import { readSavedState, toSaved } from './registry-saved.ts'

/** At most these shares of the time go into writing; what changes in between is written together. */
const writingShare = { whenAwaited: 0.5, else: 0.1 }
/** A write counts as this long at most, milliseconds: one that the process or the disk slept through says nothing about the next. */
const longestWriteMs = 2_000
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
  let waiting: (() => void)[] = []
  let writing: Promise<void> = Promise.resolve()
  let isWriting = false
  let timer: { readonly at: number; readonly timer: Timer } | undefined
  /** How long the last write took, and when it was over. */
  let last = { tookMs: 0, at: 0 }
  /** After a write that failed. */
  let notBefore = Number.NEGATIVE_INFINITY

  async function write(state: RegistryState): Promise<void> {
    const waiters = waiting
    pending = undefined
    waiting = []
    const startedAt = world.monotonic()
    try {
      await writeWhole(file, toSaved(state))
      last = { tookMs: Math.min(longestWriteMs, world.monotonic() - startedAt), at: world.monotonic() }
    } catch (error) {
      log.error({ file, error: messageOf(error) }, `cannot write the registry's state file "${file}"; trying on`)
      pending ??= state
      notBefore = world.monotonic() + retryMs
    }
    for (const done of waiters) done()
    isWriting = false
    if (pending) writeAt(dueAt())
  }

  function dueAt(): number {
    const share = waiting.length > 0 ? writingShare.whenAwaited : writingShare.else
    return Math.max(notBefore, last.at + last.tookMs * (1 / share - 1))
  }

  /** At the time, or earlier when that was set before. While it writes, the end of that looks again. */
  function writeAt(at: number): void {
    if (isWriting || (timer && timer.at <= at)) return
    timer?.timer.cancel()
    timer = { at, timer: world.after(Math.max(0, at - world.monotonic()), writeNow) }
  }

  function writeNow(): void {
    timer?.timer.cancel()
    timer = undefined
    if (!pending || isWriting) return
    isWriting = true
    writing = write(pending)
  }

  return {
    save(state) {
      pending = state
      writeAt(dueAt())
    },
    saved() {
      if (!pending) return writing
      return new Promise((resolve) => {
        waiting.push(resolve)
        writeAt(dueAt())
      })
    },
    async close() {
      await writing
      writeNow()
      await writing
      timer?.timer.cancel()
    },
  }
}

async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = `${file}.tmp`
  // For its owner alone: a check's headers may be secrets.
  const handle = await open(temporary, 'w', 0o600)
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
