import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { sleep, systemWorld } from '@banyan/core'
import type { Mishap } from './crash-plan.ts'
import { CRASH_AT, CRASH_DESCRIPTOR, CRASH_READY } from './crash-point.ts'

/** A program that is killed and started again. It ends on SIGTERM. */
export interface CrashRole {
  readonly name: string
  /** The TypeScript or JavaScript file. */
  readonly program: string
  readonly args?: readonly string[]
}

/** What has happened to a role so far. */
export interface CrashCounts {
  kills: number
  pauses: number
  strikes: number
  /** How many of all these met a process that stood at its named point; the others came at a time. */
  atPoint: number
}

export interface CrashLifeOptions {
  readonly role: CrashRole
  readonly mishaps: readonly Mishap[]
  /** Makes an outsider strike. */
  readonly strike: (outsider: string) => Promise<void>
  readonly counts: CrashCounts
  /** Aborts when the trial is over. */
  readonly signal: AbortSignal
}

/** The lives of a role: one process after another, until the trial is over. */
export interface CrashLife {
  /** Whether all its mishaps have happened. */
  isThrough(): boolean
  /** SIGKILL now, beside the plan; at once there is a new process. */
  kill(): void
  /** Resolves when it has ended after the trial; rejects when a process ended by itself. */
  readonly ended: Promise<void>
}

/** How long a process may take to end on SIGTERM before it is killed, milliseconds. */
const STOP_MS = 5_000

/** Starts a role. Each process meets the mishaps up to the next kill; pauses and strikes do not end it. */
export function crashLife(options: CrashLifeOptions): CrashLife {
  const { role, signal } = options
  const left = [...options.mishaps]
  let kill = () => {}

  /** One process, to its kill or the end of the trial. */
  async function liveOnce(): Promise<void> {
    const child = start(role, left)
    const exited = once(child, 'exit')
    const over = new AbortController()
    const lines = linesOf(child)
    let killed = false
    kill = () => {
      killed = true
      child.kill('SIGKILL')
    }
    const met = upToKill(left).map(async (mishap) => {
      if (await meet(options, { child, lines, kill }, mishap, over.signal)) left.splice(left.indexOf(mishap), 1)
    })
    // One that fails is heard at once: an outsider that cannot strike must not end the harness, nor let the trial wait for it.
    const failed = Promise.all(met).then(() => new Promise<never>(() => {}))
    try {
      await Promise.race([exited, aborted(signal), failed])
    } catch (error) {
      over.abort()
      await stop(child, exited)
      throw error
    }
    over.abort()
    await Promise.all(met)
    if (child.exitCode === null && child.signalCode === null) return stop(child, exited)
    if (!killed) throw new Error(`the "${role.name}" process ended by itself: exit code ${child.exitCode}, signal ${child.signalCode}`)
  }

  async function run(): Promise<void> {
    while (!signal.aborted) await liveOnce()
  }

  return { isThrough: () => left.length === 0, kill: () => kill(), ended: run() }
}

/** A running process, as its mishaps see it. */
interface Victim {
  readonly child: ChildProcess
  readonly lines: Lines
  readonly kill: () => void
}

function upToKill(mishaps: readonly Mishap[]): readonly Mishap[] {
  const kill = mishaps.findIndex(({ deed }) => deed.kind === 'kill')
  return kill < 0 ? mishaps : mishaps.slice(0, kill + 1)
}

function start({ program, args = [] }: CrashRole, mishaps: readonly Mishap[]): ChildProcess {
  const points = upToKill(mishaps).flatMap(({ when }) => (when.kind === 'point' ? [`${when.point}:${when.hit}`] : []))
  // The channel of node carries nothing: its end tells the process that this one is gone.
  const stdio: ('ignore' | 'inherit' | 'pipe' | 'ipc')[] = ['ipc', 'inherit', 'inherit']
  stdio[CRASH_DESCRIPTOR] = 'pipe'
  return spawn(process.execPath, [...process.execArgv, program, ...args], { stdio, env: { ...process.env, [CRASH_AT]: points.join(',') } })
}

/** Waits for the moment of a mishap and lets it happen. False: the process, or the trial, was over before. */
async function meet(options: CrashLifeOptions, victim: Victim, mishap: Mishap, over: AbortSignal): Promise<boolean> {
  const { child, lines, kill } = victim
  const stands = await moment(lines, mishap.when, over)
  if (stands === 'over') return false
  const { deed } = mishap
  const { counts, strike } = options
  if (stands === 'point') counts.atPoint += 1
  if (deed.kind === 'kill') {
    counts.kills += 1
    kill()
    return true
  }
  if (deed.kind === 'pause') {
    counts.pauses += 1
    const waker = startWaker(child)
    child.kill('SIGSTOP')
    await pause(deed.forMs, over)
    waker.kill('SIGKILL')
    child.kill('SIGCONT')
  } else {
    counts.strikes += 1
    await strike(deed.outsider)
  }
  if (stands === 'point') lines.letGo()
  return true
}

/**
 * Lets a process go on when this one is gone: one that stands still does not hear of it, and would stand for ever. In a session of its own,
 * so that what ends this process and its group does not end it.
 */
function startWaker({ pid }: ChildProcess): ChildProcess {
  const waker = spawn('sh', ['-c', `read -r end; kill -CONT ${pid}`], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  // Where there is no shell, a pause is one all the same.
  waker.on('error', () => {})
  waker.stdin?.on('error', () => {})
  return waker
}

async function moment(lines: Lines, when: Mishap['when'], over: AbortSignal): Promise<'point' | 'time' | 'over'> {
  if (when.kind === 'time') {
    await pause(when.afterMs, over)
    return over.aborted ? 'over' : 'time'
  }
  const reached = lines.heard(`${when.point}:${when.hit}`)
  // A point is waited for from when the process works; a time counts from its start, so that booting is hit as well.
  const late = lines.heard(CRASH_READY).then(() => pause(when.withinMs, over))
  const first = await Promise.race([reached.then(() => 'point' as const), late.then(() => 'time' as const), aborted(over)])
  if (over.aborted) return 'over'
  if (first === 'time') lines.forget(`${when.point}:${when.hit}`)
  return first === 'point' ? 'point' : 'time'
}

/** What a process says on its descriptor. */
interface Lines {
  /** Resolves when it says so. */
  heard(line: string): Promise<void>
  /** Nobody waits for this any more: a process that stands there is told to go on. */
  forget(line: string): void
  /** Tells the process that stands at a point to go on. */
  letGo(): void
}

function linesOf(child: ChildProcess): Lines {
  const pipe = child.stdio[CRASH_DESCRIPTOR]
  const said = new Map<string, PromiseWithResolvers<void>>()
  const forgotten = new Set<string>()
  let stands = false
  const entry = (line: string) => {
    const known = said.get(line) ?? Promise.withResolvers<void>()
    said.set(line, known)
    return known
  }
  const letGo = () => {
    // Two mishaps at one point: a second word would let the process pass the next one.
    if (!stands) return
    stands = false
    // What was asked for as a 'pipe' at this place is a socket: it can be written to.
    const socket = pipe as NodeJS.WritableStream | null | undefined
    socket?.write('>')
  }
  // A process that is killed while it is told something is not there to hear it.
  pipe?.on('error', () => {
    stands = false
  })
  pipe?.on('data', (chunk: Buffer) => {
    for (const line of String(chunk).trim().split('\n')) {
      stands ||= line !== CRASH_READY
      if (forgotten.has(line)) letGo()
      else entry(line).resolve()
    }
  })
  return {
    heard: (line) => entry(line).promise,
    forget: (line) => void forgotten.add(line),
    letGo,
  }
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGCONT')
  child.kill('SIGTERM')
  const over = new AbortController()
  void exited.then(() => over.abort())
  await pause(STOP_MS, over.signal)
  if (!over.signal.aborted) child.kill('SIGKILL')
  await exited
}

/** Resolves after the time, or when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  // Rejects when it is cut short, which callers see from the signal.
  return sleep(systemWorld, ms, signal).catch(() => {})
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
