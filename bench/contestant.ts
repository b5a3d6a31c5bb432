import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** A process that runs one contestant: each has an event loop and memory of its own. */
export interface Contestant {
  /** The next message of this kind. @throws {Error} when the process ends or fails before */
  heard<T>(kind: string): Promise<T>
  /** Tells it to go on. */
  go(): void
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>
  /** Resolves when it has ended by itself. @throws {Error} when it did not end well */
  ended(): Promise<void>
}

/** What a contestant's process sends. */
interface Message {
  readonly kind: string
  readonly value: unknown
}

/** Between asking a late contestant to end and making it. */
const GRACE_MS = 5_000

// Ended by a signal, neither a benchmark nor a contestant would tidy up. Contestants end when they hear no more of their benchmark.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

/**
 * Starts `bench/<file>` with one argument, the settings as JSON.
 *
 * @param timeoutMs after that it is killed, and whoever waits for it is told
 */
export function startContestant(file: string, settings: object, timeoutMs: number): Contestant {
  const child = fork(join(import.meta.dirname, file), [JSON.stringify(settings)], { stdio: ['ignore', 2, 'pipe', 'ipc'] })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000)
  })
  const messages: Message[] = []
  let look = () => {}
  child.on('message', (message: Message) => {
    messages.push(message)
    look()
  })
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), GRACE_MS).unref()
  }, timeoutMs)
  let over: string | undefined
  const exit = once(child, 'exit').then(([code, signal]) => {
    clearTimeout(timer)
    over = late ? `took longer than ${timeoutMs} ms` : `ended with ${code ?? signal}`
    look()
    return code
  })
  const failure = () => new Error(`${file} ${withoutPassword(JSON.stringify(settings))} ${over}; it said:\n${said}`)

  return {
    heard: <T>(kind: string) =>
      new Promise<T>((resolve, reject) => {
        look = () => {
          const index = messages.findIndex((one) => one.kind === kind)
          const [found] = index < 0 ? [] : messages.splice(index, 1)
          // Both sides are of this repository: what is sent under a kind is what its listener names.
          if (found) resolve(found.value as T)
          else if (over) reject(failure())
        }
        look()
      }),
    go() {
      child.send('go')
    },
    async kill() {
      child.kill('SIGKILL')
      await exit
    },
    async ended() {
      if ((await exit) !== 0) throw failure()
    },
  }
}

/** What went wrong in this run and was measured again; it belongs into the report. */
export const failures: string[] = []

/** Does `work`, and once more when it fails: one bad start should not cost a run of many minutes. */
export async function twice<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    console.error(`${what} failed and is measured again:`, error)
    failures.push(`${what}: ${error instanceof Error ? error.message.split('\n')[0] : error}`)
    return await work()
  }
}

function withoutPassword(text: string): string {
  return text.replaceAll(/:\/\/[^@"]*@/g, '://')
}

/** Runs `bench/<file>` to its end and gives what it sent as `result`. */
export async function runContestant<T>(file: string, settings: object, timeoutMs: number): Promise<T> {
  const contestant = startContestant(file, settings, timeoutMs)
  const result = await contestant.heard<T>('result')
  await contestant.ended()
  return result
}

/** On the contestant's side: the settings it was started with. From now on it ends, and tidies up, when its benchmark does. */
export function settingsOfContestant<T>(): T {
  process.once('disconnect', () => process.exit(1))
  return JSON.parse(process.argv[2] ?? '{}')
}

/** On the contestant's side: sends a message to the benchmark. */
export function tell(kind: string, value: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!process.send) return reject(new Error('a contestant is started by its benchmark: npm run bench'))
    process.send({ kind, value } satisfies Message, undefined, undefined, (error) => (error ? reject(error) : resolve()))
  })
}
