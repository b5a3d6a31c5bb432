import { spawnSync } from 'node:child_process'

/** Keeps all threads of a process on one core, and those it starts later. @throws {Error} when `taskset` cannot */
export function pin(pid: number, core: number): void {
  const { status, stderr, error } = spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`cannot keep process ${pid} on core ${core}: ${stderr?.trim() || error?.message}`, { cause: error })
}
