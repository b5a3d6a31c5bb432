import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const open = new Set<string>()
process.on('exit', () => {
  for (const folder of open) remove(folder)
})

/**
 * Does `work` with a new folder, which is gone afterwards, however the benchmark ends. It is beside this file and not in the system's
 * folder for temporary files: that may be in memory, where a sync costs nothing.
 */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const data = join(import.meta.dirname, 'data')
  mkdirSync(data, { recursive: true })
  const folder = mkdtempSync(join(data, 'run-'))
  open.add(folder)
  try {
    return await work(folder)
  } finally {
    remove(folder)
    open.delete(folder)
  }
}

/** A process that has just been told to end may still be writing. */
function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
}
