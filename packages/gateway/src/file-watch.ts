import { watch } from 'node:fs'
import { dirname } from 'node:path'
import { type Logger, messageOf, type Timer, type World } from '@banyan/core'

/** How {@link watchFile} waits and tells. */
export interface FileWatchOptions {
  readonly world: World
  readonly log: Logger
}

/** Editors write a file in several steps. */
const settleMs = 50

/**
 * Calls `onChange` when a file may have changed. Watches its folder, as editors and deployments replace files rather than write
 * into them; so `onChange` is also called for its neighbours, and compares by itself.
 */
export function watchFile(file: string, onChange: () => void, { world, log }: FileWatchOptions): { stop(): void } {
  let timer: Timer | undefined
  const watcher = watch(dirname(file), { persistent: false }, () => {
    timer?.cancel()
    timer = world.after(settleMs, onChange)
  })
  watcher.on('error', (error) => log.warn({ file, error: messageOf(error) }, `cannot watch ${file} any more; reload by hand`))
  return {
    stop() {
      timer?.cancel()
      watcher.close()
    },
  }
}
