import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

/** A second process of a test. */
export interface Child {
  /** What it has sent so far. */
  readonly messages: readonly unknown[]
  /** Resolves when it has sent `wanted`. @throws when it ends before */
  heard(wanted: unknown): Promise<void>
  send(message: string): void
  /** As `kill -9`: it gets no chance to tidy up. Resolves when it is gone. */
  kill(): Promise<void>
  /** Resolves when it has ended by itself. @throws when it failed */
  ended(): Promise<void>
}

/** Starts a program of this folder in a process of its own, from its sources when this runs from sources. */
export function startChild(program: string, args: readonly string[]): Child {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const child = fork(new URL(`./${program}${extension}`, import.meta.url), args, { execArgv: ['--conditions=@banyan/source'] })
  const messages: unknown[] = []
  child.on('message', (message) => messages.push(message))
  const exited = once(child, 'exit')
  const what = `"${program} ${args.join(' ')}"`

  return {
    messages,
    async heard(wanted) {
      while (!messages.includes(wanted)) await Promise.race([once(child, 'message'), exited.then(() => failed(child, what, wanted))])
    },
    send: (message) => void child.send(message),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    async ended() {
      await exited
      if (child.exitCode !== 0) throw new Error(`${what} ended with ${child.exitCode ?? child.signalCode}, wanted 0`)
    },
  }
}

function failed(child: ChildProcess, what: string, wanted: unknown): never {
  throw new Error(`${what} ended with ${child.exitCode ?? child.signalCode} before it said ${JSON.stringify(wanted)}`)
}
