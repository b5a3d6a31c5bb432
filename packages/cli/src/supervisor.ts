import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { Timer, World } from '@banyan/core'
import { CliError } from './errors.ts'
import { readMessage } from './process-plan.ts'
import { after, newProcess, type ProcessState } from './supervision.ts'

export interface SupervisorOptions {
  name: string
  /** The program's file and its arguments, for this Node. */
  args: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  world: World
  /** Each line of its output, and what the supervisor itself has to say. */
  onLine: (name: string, line: string) => void
  /** How long it may take to end before it is killed, milliseconds. */
  stopMs: number
  /** What it is told each time it has been started, perhaps with a socket. */
  greeting?: () => Greeting
  /** Each message of it, perhaps with a socket, before the supervisor makes something of it. */
  onMessage?: (message: unknown, socket: unknown) => void
}

/** What a program is told at its start. */
export interface Greeting {
  readonly message: object
  readonly socket: object | undefined
}

/** Keeps one process running. */
export interface Supervisor {
  readonly name: string
  readonly pid: number | undefined
  readonly state: ProcessState['kind']
  /** How often it was started again. */
  readonly restarts: number
  /** Starts it; resolves when it says that it is ready, rejects with what it says when its first start fails. */
  start(): Promise<void>
  /** Resolves when it is ready, now or after its next start. */
  ready(): Promise<void>
  /** Sends a signal and resolves when the process is gone; it is started again. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Ends it as `stop` does, and starts it anew; resolves when it is ready again. */
  renew(): Promise<void>
  /** Kills it and leaves it down; resolves when it is gone, with what starts it again and resolves when it is ready. */
  takeDown(): Promise<() => Promise<void>>
  /** Sends it a message; nothing happens while it does not run. */
  tell(message: object): void
  /** Ends it for good: asks first, then kills. */
  stop(): Promise<void>
}

/** Creates the {@link Supervisor} of a program that tells by IPC when it is ready. */
export function supervisor(options: SupervisorOptions): Supervisor {
  const { name, world, onLine } = options
  let state = newProcess(world.now())
  let child: ChildProcess | undefined
  let restart: Timer | undefined
  let starts = 0
  let failure: string | undefined
  let down = false
  const changes = bell()

  function change(kind: 'spawned' | 'ready' | 'exited' | 'stop'): void {
    state = after(state, { kind }, world.now())
    changes.ring()
  }

  function launch(): void {
    starts += 1
    change('spawned')
    child = spawnProgram(options, { onMessage, onExit })
    greet(child, options)
  }

  function onMessage(raw: unknown, socket: unknown): void {
    options.onMessage?.(raw, socket)
    const message = readMessage(raw)
    if (message && 'failed' in message) failure = message.failed
    else if (message) change('ready')
  }

  function onExit(code: number | null, signal: NodeJS.Signals | null): void {
    child = undefined
    change('exited')
    if (state.kind !== 'waiting') return
    if (down) {
      onLine(name, `${endText(code, signal)}; left down`)
      return
    }
    const pauseMs = Math.max(0, state.restartAtMs - world.now())
    onLine(name, restartLine(endText(code, signal), pauseMs, failure))
    restart = world.after(pauseMs, launch)
  }

  return {
    name,
    get pid() {
      return child?.pid
    },
    get state() {
      return state.kind
    },
    get restarts() {
      return Math.max(0, starts - 1)
    },
    async start() {
      launch()
      await changes.until(() => state.kind !== 'starting')
      if (state.kind === 'ready') return
      throw new CliError('ERR_PROCESS_FAILED', `process "${name}" did not start: ${failure ?? 'it ended without a word'}`)
    },
    ready: () => changes.until(() => state.kind === 'ready'),
    kill: (signal) => killProgram(child, signal),
    renew: () => endProgram(child, options).then(() => changes.until(() => state.kind === 'ready')),
    async takeDown() {
      restart?.cancel()
      down = true
      await killProgram(child, 'SIGKILL')
      return async () => {
        if (down && state.kind === 'waiting') launch()
        down = false
        await changes.until(() => state.kind !== 'starting' && state.kind !== 'waiting')
      }
    },
    tell: (message) => post(child, options, message),
    async stop() {
      restart?.cancel()
      change('stop')
      await endProgram(child, options)
    },
  }
}

/** Tells those who wait for a change. */
function bell(): { ring(): void; until(isDone: () => boolean): Promise<void> } {
  const waiting = new Set<() => void>()
  return {
    ring() {
      for (const check of [...waiting]) check()
    },
    until: (isDone) =>
      new Promise((resolve) => {
        const check = () => {
          if (!isDone()) return
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
        check()
      }),
  }
}

interface ProgramEvents {
  onMessage(raw: unknown, socket: unknown): void
  onExit(code: number | null, signal: NodeJS.Signals | null): void
}

function spawnProgram({ name, args, env, onLine }: SupervisorOptions, { onMessage, onExit }: ProgramEvents): ChildProcess {
  const child = spawn(process.execPath, [...runtimeArguments(process.execArgv), ...args], { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) readLines(stream, (line) => onLine(name, line))
  }
  child.on('message', onMessage)
  child.on('error', ({ message }) => {
    onMessage({ failed: message }, undefined)
    // What the system did not start does not end either.
    if (child.pid === undefined) onExit(null, null)
  })
  child.once('exit', onExit)
  return child
}

/** Without what this process was given to evaluate: its children would do so in place of their program, and start it all once more. */
function runtimeArguments(given: readonly string[]): readonly string[] {
  return given.filter((argument, index) => !isEvaluation(argument) && !TAKES_CODE.test(given[index - 1] ?? ''))
}

const TAKES_CODE = /^(-e|-p|-pe|--eval|--print|--input-type)$/

function isEvaluation(argument: string): boolean {
  return TAKES_CODE.test(argument) || /^--(eval|print|input-type)=/.test(argument)
}

/** Gives on each line as it was printed. Node's readline ends lines at U+2028 and U+2029 too, which stand in JSON as they are. */
function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    // The other half of a last \r\n may be still to come.
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest.replace(/\r$/, ''))
  })
}

function greet(child: ChildProcess, options: SupervisorOptions): void {
  const greeting = options.greeting?.()
  if (greeting) post(child, options, greeting.message, greeting.socket)
}

function post(child: ChildProcess | undefined, { name, onLine }: SupervisorOptions, message: object, socket?: object): void {
  // Its types name the sockets of servers and clients; Node sends what lies below them too.
  const handle = socket as Parameters<ChildProcess['send']>[1]
  if (child?.connected) child.send(message, handle, (error) => error && onLine(name, `did not hear: ${error.message}`))
}

async function killProgram(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child?.pid === undefined) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill(signal)
  await gone
}

/** Asks it to end, and kills it when it does not. */
async function endProgram(child: ChildProcess | undefined, { name, world, onLine, stopMs }: SupervisorOptions): Promise<void> {
  if (child?.pid === undefined) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const timer = world.after(stopMs, () => {
    onLine(name, `has not ended ${stopMs} ms after it was asked to; killed`)
    child.kill('SIGKILL')
  })
  await gone
  timer.cancel()
}

function endText(code: number | null, signal: NodeJS.Signals | null): string {
  if (code === null && signal === null) return 'could not be started'
  return `ended by ${signal ?? `exit ${code}`}`
}

function restartLine(end: string, pauseMs: number, failure: string | undefined): string {
  if (pauseMs <= 1_000) return `${end}; starting it again`
  return `${end}; it keeps failing${failure ? ` (${failure})` : ''}, starting it again in ${pauseMs} ms`
}
