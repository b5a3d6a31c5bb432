import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { sleep, systemWorld } from '@banyan/core'
import type { Kill } from './crash-plan.ts'
import { CRASH_AT, CRASH_DESCRIPTOR, CRASH_READY } from './crash-point.ts'

/** A program that is killed and started again. It ends on SIGTERM. */
export interface CrashRole {
  readonly name: string
  /** The TypeScript or JavaScript file. */
  readonly program: string
  readonly args?: readonly string[]
}

export interface CrashTrialOptions {
  readonly roles: readonly CrashRole[]
  /** In order; those of one role one life after another. */
  readonly kills: readonly Kill[]
  /** Whether everything that should have happened has. Asked again and again, first after the last kill. */
  readonly isDone: () => Promise<boolean>
  /** How long a trial may take, milliseconds. Default 20,000. */
  readonly timeoutMs?: number
}

export interface CrashTrial {
  /** False: the time was over before `isDone` said yes. */
  readonly done: boolean
  /** How many processes were killed; less than planned when one came to its end before. */
  readonly kills: number
  /** How many of them stood at their named point; the others died at a time. */
  readonly atPoint: number
  readonly tookMs: number
}

/** How long a process may take to end on SIGTERM before it is killed, milliseconds. */
const STOP_MS = 5_000

/**
 * Runs the roles as processes, kills them with SIGKILL as planned, starts them again at once, waits until all is done, and
 * ends them. A role's program dies in the middle of an instruction or stands still at a named point: nothing of it runs on.
 *
 * @throws {Error} when a process ends by itself: a crash that was not planned is a bug of the program
 */
export async function crashTrial(options: CrashTrialOptions): Promise<CrashTrial> {
  const { roles, kills, isDone, timeoutMs = 20_000 } = options
  const started = systemWorld.monotonic()
  const late = () => systemWorld.monotonic() - started > timeoutMs
  const abort = new AbortController()
  const lives = roles.map((role) =>
    live(
      role,
      kills.filter((kill) => kill.role === role.name),
      abort.signal,
    ),
  )
  const failed = Promise.race(lives.map(({ ended }) => ended.then(() => undefined)))
  try {
    let done = false
    const killed = () => lives.reduce((sum, { kills }) => sum + kills(), 0)
    const atPoint = () => lives.reduce((sum, { atPoint }) => sum + atPoint(), 0)
    while (!done && !late()) {
      await Promise.race([sleep(systemWorld, 15), failed])
      done = killed() === kills.length && (await isDone())
    }
    return { done, kills: killed(), atPoint: atPoint(), tookMs: Math.round(systemWorld.monotonic() - started) }
  } finally {
    abort.abort()
    await Promise.all(lives.map(({ ended }) => ended))
  }
}

interface Life {
  kills(): number
  atPoint(): number
  /** Resolves when it has ended after the abort; rejects when it ended by itself. */
  readonly ended: Promise<void>
}

/** One process after another, each to its kill; the last one to the abort. */
function live(role: CrashRole, kills: readonly Kill[], signal: AbortSignal): Life {
  let killed = 0
  let atPoint = 0
  async function run(): Promise<void> {
    for (const kill of [...kills, undefined]) {
      if (signal.aborted) return
      const child = start(role, kill)
      const exited = once(child, 'exit')
      const end = kill ? due(child, kill, signal) : aborted(signal)
      const reached = await Promise.race([end, exited.then(() => false)])
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the "${role.name}" process ended by itself: exit code ${child.exitCode}, signal ${child.signalCode}`)
      if (signal.aborted) return stop(child, exited)
      child.kill('SIGKILL')
      await exited
      killed += 1
      if (reached) atPoint += 1
    }
  }
  return { kills: () => killed, atPoint: () => atPoint, ended: run() }
}

function start({ program, args = [] }: CrashRole, kill: Kill | undefined): ChildProcess {
  const at = kill?.kind === 'point' ? `${kill.point}:${kill.hit}` : ''
  // The channel of node carries nothing: its end tells the process that this one is gone.
  const stdio: ('ignore' | 'inherit' | 'pipe' | 'ipc')[] = ['ipc', 'inherit', 'inherit']
  stdio[CRASH_DESCRIPTOR] = 'pipe'
  return spawn(process.execPath, [...process.execArgv, program, ...args], { stdio, env: { ...process.env, [CRASH_AT]: at } })
}

/** Resolves when the process stands at its point, with true, or when its time has come. */
async function due(child: ChildProcess, kill: Kill, signal: AbortSignal): Promise<boolean> {
  const over = new AbortController()
  const both = AbortSignal.any([signal, over.signal])
  const told = tellings(child)
  // Cut short or not: it did not come to its point.
  const wait = (ms: number) =>
    sleep(systemWorld, ms, both).then(
      () => false,
      () => false,
    )
  // A point is waited for from when the process works; a time counts from its start, so that booting is hit as well.
  const late = kill.kind === 'time' ? wait(kill.afterMs) : told.ready.then(() => wait(kill.withinMs))
  try {
    return await Promise.race([late, told.point, aborted(both)])
  } finally {
    over.abort()
  }
}

/** What the process says on its descriptor. */
function tellings(child: ChildProcess): { ready: Promise<void>; point: Promise<boolean> } {
  const ready = Promise.withResolvers<void>()
  const point = Promise.withResolvers<boolean>()
  child.stdio[CRASH_DESCRIPTOR]?.on('data', (chunk: Buffer) => {
    for (const line of String(chunk).trim().split('\n')) {
      if (line === CRASH_READY) ready.resolve()
      else point.resolve(true)
    }
  })
  return { ready: ready.promise, point: point.promise }
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM')
  const over = new AbortController()
  const ended = exited.then(() => over.abort())
  // Rejects when it has ended in time, and that is well.
  const inTime = await sleep(systemWorld, STOP_MS, over.signal).then(
    () => false,
    () => true,
  )
  if (!inTime) child.kill('SIGKILL')
  await ended
}

function aborted(signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(false)
    signal.addEventListener('abort', () => resolve(false), { once: true })
  })
}
