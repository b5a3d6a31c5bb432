import { type FSWatcher, watch } from 'node:fs'
import { type Logger, messageOf, sleep, type World } from '@banyan/core'
import { signal } from '@banyan/messaging/internal'

/** Called with the types of new events; `undefined`: of whatever type. */
type Listener = (types: ReadonlySet<string> | undefined) => void

/** Those in this process who read a file, by its path: publishers of this process wake them without any detour. */
const listeners = new Map<string, Set<Listener>>()

/** Tells everybody in this process who reads `path`. */
export function wakeReaders(path: string, types: ReadonlySet<string> | undefined): void {
  for (const listener of listeners.get(path) ?? []) listener(types)
}

/** Hears of what this process writes to `path`, until the function it gives back is called. */
export function onWake(path: string, listener: Listener): () => void {
  const all = listeners.get(path) ?? new Set()
  listeners.set(path, all.add(listener))
  return () => {
    all.delete(listener)
    if (all.size === 0) listeners.delete(path)
  }
}

/**
 * Calls `look` when the file may have changed: at once when the system says so, else by polling, every `pollMs` while things
 * change down to every `idlePollMs` when they do not. `look` answers whether there was a change; calls of it never overlap.
 */
export function watchFile(
  path: string,
  options: { world: World; log: Logger; pollMs: number; idlePollMs: number; look: () => Promise<boolean> },
): { stop(): Promise<void> } {
  const { world, log, pollMs, idlePollMs, look } = options
  const changed = signal(world)
  let stopped = false
  let pauseMs = pollMs

  async function poll(): Promise<void> {
    while (!stopped) {
      await changed.wait(pauseMs)
      changed.reset()
      if (stopped) return
      // A busy file tells of each write; one look a millisecond or two finds them all.
      await sleep(world, 1)
      pauseMs = (await look()) ? pollMs : Math.min(idlePollMs, pauseMs * 2)
    }
  }

  const watcher = path === ':memory:' ? undefined : watchLog(path, log, changed.set)
  const polling = poll()
  return {
    async stop() {
      stopped = true
      watcher?.close()
      changed.set()
      await polling
    },
  }
}

function watchLog(path: string, log: Logger, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(`${path}-wal`, { persistent: false }, onChange)
    watcher.on('error', (error) => log.warn({ error }, `lost the watch on "${path}-wal"; polling goes on`))
    return watcher
  } catch (error) {
    // Out of watches, or a file system that has none: polling alone finds the events, up to its pause later.
    log.warn({ error: messageOf(error) }, `cannot watch "${path}-wal"; polling finds the events instead`)
    return undefined
  }
}
