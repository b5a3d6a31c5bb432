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

/** The longest wait for that: a neighbour such as a log may never settle. */
const mostMs = 1_000

/**
 * Calls `onChange` when a file may have changed. Watches its folder, as editors and deployments replace files rather than write
 * into them; so `onChange` is also called for its neighbours, and once at the start, and compares by itself.
 *
 * @param onChange rejects when the file is not taken; why, is logged once for as long as it stays the same: the log may be a neighbour too
 */
export function watchFile(file: string, onChange: () => Promise<void>, { world, log }: FileWatchOptions): { stop(): void } {
  let timer: Timer | undefined
  let unsettledSince: number | undefined
  let complaint: string | undefined
  let isStopped = false

  function complain(error: unknown): void {
    const before = complaint
    complaint = messageOf(error)
    if (isStopped || complaint === before) return
    log.error({ file }, `the changed gateway file is not taken, the old configuration goes on: ${complaint}`)
  }

  function look(): void {
    unsettledSince = undefined
    onChange().then(() => {
      complaint = undefined
    }, complain)
  }

  const watcher = watch(dirname(file), { persistent: false }, () => {
    const now = world.monotonic()
    unsettledSince ??= now
    timer?.cancel()
    timer = world.after(Math.min(settleMs, Math.max(0, unsettledSince + mostMs - now)), look)
  })
  // What came between its last reading and this made no event.
  timer = world.after(settleMs, look)
  watcher.on('error', (error) => log.warn({ file, error: messageOf(error) }, `cannot watch ${file} any more; reload by hand`))
  return {
    stop() {
      isStopped = true
      timer?.cancel()
      watcher.close()
    },
  }
}
