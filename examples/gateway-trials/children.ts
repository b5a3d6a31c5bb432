import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A program of this folder that runs as a process of its own. */
export interface Child {
  /** The next message that it sends. */
  heard<T>(): Promise<T>
  tell(message: object): void
  kill(signal?: NodeJS.Signals): Promise<void>
}

const running = new Set<ChildProcess>()
// Whatever ends this process, nothing is left behind.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a program of this folder. It ends when this process does, also when that is killed. */
export function startChild(program: string, ...args: readonly string[]): Child {
  const file = fileURLToPath(new URL(`./${program}.ts`, import.meta.url))
  const child = spawn(process.execPath, [...process.execArgv, file, ...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  const messages: unknown[] = []
  let wake = () => {}
  child.once('exit', () => wake())
  child.on('message', (message) => {
    messages.push(message)
    wake()
  })
  return {
    async heard<T>() {
      while (messages.length === 0) {
        const gone = child.exitCode !== null || child.signalCode !== null
        if (gone) throw new Error(`${program} has ended without a word`)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      // What each program sends stands beside it.
      return messages.shift() as T
    },
    tell(message) {
      if (child.connected) child.send(message)
    },
    async kill(signal = 'SIGKILL') {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill(signal)
      await gone
    },
  }
}
