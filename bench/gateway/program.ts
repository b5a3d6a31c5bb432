import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { withChildren } from './process-stat.ts'

/** A running program that is not Node. */
export interface Program {
  readonly pid: number
  /** What it wrote to both outputs so far; the last 20,000 characters. */
  said(): string
  /** Resolves with what it wrote to standard output. @throws {Error} when it did not end well */
  ended(): Promise<string>
  /** Ends it and those it started; resolves when they are gone. */
  stop(): Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) killAll(child, 'SIGKILL')
})

/** Its file, looked for where the system keeps servers too. */
export function programFile(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

/** Starts a program on one core, or on any. It ends when this process does, however that ends. */
export function startProgram(command: readonly [string, ...string[]], core: number | 'any', env: NodeJS.ProcessEnv = {}): Program {
  const pinned = core === 'any' ? [] : ['taskset', '--cpu-list', String(core)]
  const [file = '', ...args] = [...pinned, 'setpriv', '--pdeathsig', 'TERM', ...command]
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  running.add(child)
  let out = ''
  let all = ''
  const keep = (chunk: Buffer) => {
    all = (all + chunk.toString()).slice(-20_000)
  }
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    keep(chunk)
  })
  child.stderr.on('data', keep)
  const closed = once(child, 'close').finally(() => running.delete(child))
  // A program that cannot be started is told of where it is waited for.
  closed.catch(() => undefined)
  return {
    pid: child.pid ?? 0,
    said: () => all,
    async ended() {
      const [code, signal] = await closed
      if (code !== 0) throw new Error(`${command[0]} ended with ${code ?? signal}; it said:\n${all}`)
      return out
    },
    async stop() {
      const pids = killAll(child, 'SIGTERM')
      const timer = setTimeout(() => {
        for (const pid of pids) kill(pid, 'SIGKILL')
      }, 2_000)
      await closed.catch(() => undefined)
      clearTimeout(timer)
    },
  }
}

function killAll(child: ChildProcess, signal: NodeJS.Signals): number[] {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return []
  const pids = withChildren(child.pid)
  for (const pid of pids) kill(pid, signal)
  return pids
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // Gone already, which is what is wanted.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
