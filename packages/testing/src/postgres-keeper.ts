import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { processTree, signalTo } from './process-tree.ts'

// Ends a test server and removes its folder as soon as standard input closes, which happens however its starter goes, `kill -9`
// included: node postgres-keeper.ts <folder>

const [folder = ''] = process.argv.slice(2)
/** Time for the server to free its shared memory; after that it goes the hard way. */
const GRACE_MS = 5_000

process.stdin.resume()
process.stdin.once('close', () => void tidy())

async function tidy(): Promise<void> {
  const pid = serverPid()
  if (pid !== undefined) await end(pid)
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  process.exit(0)
}

async function end(pid: number): Promise<void> {
  // A paused server would not hear it.
  if (process.platform !== 'win32') for (const paused of processTree(pid)) signalTo(paused, 'SIGCONT')
  const all = process.platform === 'win32' ? [pid] : processTree(pid)
  signalTo(pid, 'SIGQUIT')
  for (let waitedMs = 0; all.some((one) => signalTo(one, 0)); waitedMs += 20) {
    if (waitedMs >= GRACE_MS) for (const one of all) signalTo(one, 'SIGKILL')
    if (waitedMs >= 2 * GRACE_MS) return
    await delay(20)
  }
}

function serverPid(): number | undefined {
  const file = join(folder, 'data', 'postmaster.pid')
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : 0
  // Nothing is in the file yet, or nothing any more: that is no process 0, which would be everybody.
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
}
