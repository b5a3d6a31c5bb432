import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { codeOf } from '@banyan/core'

/** `pid` and all the processes it has started, theirs included, as far as they live. Not on Windows. */
export function processTree(pid: number): number[] {
  assertProcess(pid)
  const parents = process.platform === 'linux' ? parentsFromProc() : parentsFromPs()
  const tree = [pid]
  for (const known of tree) for (const [child, parent] of parents) if (parent === known) tree.push(child)
  return tree
}

/** Sends a signal. @returns false when there is no such process any more */
export function signalTo(pid: number, signal: NodeJS.Signals | 0): boolean {
  assertProcess(pid)
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
    throw error
  }
}

/** To the system 0 is the caller's own group, -1 everybody, and 0 the parent of the first process of all. */
function assertProcess(pid: number): void {
  if (!Number.isSafeInteger(pid) || pid < 1) throw new RangeError(`cannot signal process ${pid}: wanted a whole number from 1`)
}

function parentsFromProc(): [number, number][] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid): [number, number][] => {
    try {
      // "pid (name) state parent ...", where the name may hold brackets and spaces.
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      return [[Number(pid), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])]]
    } catch {
      // It ended between the listing and the reading.
      return []
    }
  })
}

function parentsFromPs(): [number, number][] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')
  return lines.map((line) => {
    const [pid = 0, parent = 0] = line.trim().split(/\s+/).map(Number)
    return [pid, parent]
  })
}
