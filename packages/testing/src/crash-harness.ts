import { sleep, systemWorld } from '@banyan/core'
import { type CrashCounts, type CrashLife, type CrashRole, crashLife } from './crash-life.ts'
import type { Mishap } from './crash-plan.ts'

/** Something that fails and is no process of the trial: a database server, or several processes at once. */
export interface CrashOutsider {
  readonly name: string
  /** Resolves when it has failed; it comes back by itself. `kill` ends the current process of a role. */
  strike(kill: (role: string) => void): Promise<void>
}

export interface CrashTrialOptions {
  readonly roles: readonly CrashRole[]
  readonly outsiders?: readonly CrashOutsider[]
  /** In order; those of one role one life after another. */
  readonly mishaps: readonly Mishap[]
  /** Called once, when all mishaps have happened: the system may come to its end now. */
  readonly onStruck?: () => Promise<void>
  /** Whether everything that should have happened has. Asked again and again, first after the last mishap. */
  readonly isDone: () => Promise<boolean>
  /** How long a trial may take, milliseconds; with `progress`, how long it may take without any. Default 20,000. */
  readonly timeoutMs?: number
  /**
   * How far the system has come, in any words that change when something moves. Asked when the time is over: a busy machine is slow, and
   * only a system in which nothing moves is broken. A trial that moves and never ends has {@link MOST_EXTENSIONS} times its time. Default:
   * the time is over when it is over.
   */
  readonly progress?: () => Promise<string>
  /** Ends the trial, undone, when it aborts. */
  readonly signal?: AbortSignal | undefined
}

export interface CrashTrial extends Readonly<CrashCounts> {
  /** False: the time was over, or the trial ended, before `isDone` said yes. */
  readonly done: boolean
  readonly tookMs: number
}

/** How often a trial in which something moves gets its time anew. */
export const MOST_EXTENSIONS = 10

/** How often `isDone` is asked, milliseconds. */
const LOOK_EVERY_MS = 25

/**
 * Runs the roles as processes, kills them with SIGKILL as planned, starts them again at once, waits until all is done, and
 * ends them. A role's program dies in the middle of an instruction or stands still at a named point: nothing of it runs on.
 *
 * @throws {Error} when a process ends by itself: a crash that was not planned is a bug of the program; {@link RangeError} for a mishap of
 * somebody whom the trial does not have
 */
export async function crashTrial(options: CrashTrialOptions): Promise<CrashTrial> {
  const { roles, mishaps, isDone, onStruck = async () => {}, signal } = options
  const started = systemWorld.monotonic()
  const abort = new AbortController()
  const counts: CrashCounts = { kills: 0, pauses: 0, strikes: 0, atPoint: 0 }
  const lives = new Map<string, CrashLife>()
  const strike = strikes(options, lives)
  const names = [...roles, ...(options.outsiders ?? [])].map(({ name }) => name)
  const stranger = mishaps.find(({ role }) => !names.includes(role))
  // It would not happen, and the trial would count as one that went well.
  if (stranger) throw new RangeError(`cannot crash "${stranger.role}": the trial has ${names.join(', ')}`)
  const of = (name: string) => mishaps.filter(({ role }) => role === name)
  for (const role of roles) lives.set(role.name, crashLife({ role, mishaps: of(role.name), strike, counts, signal: abort.signal }))
  const outside = (options.outsiders ?? []).map(({ name }) => outsiderLife(of(name), strike, counts, abort.signal))
  const failed = Promise.race([...[...lives.values()].map(({ ended }) => ended), ...outside.map(({ ended }) => ended)].map(never))
  const isThrough = () => [...lives.values(), ...outside].every((one) => one.isThrough())
  try {
    let struck = false
    let done = false
    let asked: Promise<boolean> | undefined
    const isOver = patience(options)
    const ask = async () => {
      if (!struck) await onStruck()
      struck = true
      return isDone()
    }
    while (!done && !signal?.aborted && !(await isOver())) {
      await Promise.race([sleep(systemWorld, LOOK_EVERY_MS), failed])
      if (!isThrough()) continue
      asked ??= ask()
      // One that waits for a server that is down, maybe for ever, keeps no trial from its end.
      const answer = await Promise.race([asked, sleep(systemWorld, LOOK_EVERY_MS), failed])
      if (answer === undefined) continue
      asked = undefined
      done = answer
    }
    return { done, ...counts, tookMs: Math.round(systemWorld.monotonic() - started) }
  } finally {
    abort.abort()
    await Promise.all([...[...lives.values()].map(({ ended }) => ended), ...outside.map(({ ended }) => ended)])
  }
}

/** Whether the trial has had its time, and nothing has moved since that was asked last. */
function patience({ timeoutMs = 20_000, progress }: CrashTrialOptions): () => Promise<boolean> {
  let since = systemWorld.monotonic()
  let extensions = 0
  let before = ''
  return async () => {
    if (systemWorld.monotonic() - since <= timeoutMs) return false
    if (!progress || extensions === MOST_EXTENSIONS) return true
    const now = await progress()
    if (now === before) return true
    before = now
    extensions += 1
    since = systemWorld.monotonic()
    return false
  }
}

/** Passes a failure on and nothing else. */
function never(ended: Promise<void>): Promise<never> {
  return ended.then(() => new Promise<never>(() => {}))
}

function strikes({ outsiders = [] }: CrashTrialOptions, lives: ReadonlyMap<string, CrashLife>): (name: string) => Promise<void> {
  return async (name) => {
    const outsider = outsiders.find((one) => one.name === name)
    if (!outsider) throw new RangeError(`cannot strike "${name}": the trial has no such outsider`)
    await outsider.strike((role) => lives.get(role)?.kill())
  }
}

/** The mishaps of an outsider that come at a time: one after another. */
function outsiderLife(mishaps: readonly Mishap[], strike: (name: string) => Promise<void>, counts: CrashCounts, signal: AbortSignal) {
  let left = mishaps.length
  async function run(): Promise<void> {
    for (const { when, deed } of mishaps) {
      if (when.kind === 'point' || deed.kind !== 'strike') throw new RangeError('an outsider only strikes, and at a time: it has no points')
      // Rejects when the trial is over.
      await sleep(systemWorld, when.afterMs, signal).catch(() => {})
      if (signal.aborted) return
      counts.strikes += 1
      await strike(deed.outsider)
      left -= 1
    }
  }
  return { isThrough: () => left === 0, ended: run() }
}
