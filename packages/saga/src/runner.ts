import { type Database, type Logger, messageOf, sleep, type World } from '@banyan/core'
import type { AttemptEnd } from './attempt.ts'
import type { AnySaga } from './definition.ts'
import { type LiveSaga, liveSaga, loseSaga } from './live-saga.ts'
import { instruments } from './metrics.ts'
import { type StepRun, type StepRunner, stepRunner } from './run-step.ts'
import { type Slots, sagaSlots } from './slots.ts'
import { statusOf } from './standing.ts'
import { pausesOf, stepOfState } from './state.ts'
import { type SagaOwner, type SagaRecord, type SagaStore, sagaArchivePort } from './store.ts'
import { actionsOf, after, canTurn } from './transition.ts'

export interface SagaRunnerOptions {
  readonly database: Database
  readonly store: SagaStore
  readonly world: World
  readonly log: Logger
  readonly service: string
  readonly concurrency: number
  /** How many sagas of a name, whatever their version, make a step at the same time. */
  readonly limits: ReadonlyMap<string, number | undefined>
  readonly parkAfterMs: number
  readonly definitionOf: (record: SagaRecord) => AnySaga | undefined
  readonly owner: () => SagaOwner | undefined
}

/** The sagas a worker has in memory, and their steps. */
export interface SagaRunner {
  /** Runs a saga that belongs to `owner`; one that is here already goes on as it is. */
  take(record: SagaRecord, owner: SagaOwner): void
  /** Somebody has decided about a saga. One that pauses or stands in line is read anew, at once. */
  decided(id: string): void
  /** Goes on after a time in which nothing could be begun. */
  wake(): void
  /** Forgets everything, at once: it belongs to others. */
  dropAll(): void
  count(): { active: number; waiting: number }
  /** How many are in memory. */
  size(): number
  /** Whether this one is. */
  has(id: string): boolean
  /** Begins nothing new, waits up to `drainMs` for attempts in flight, then gives up on them. */
  stop(drainMs: number): Promise<void>
}

/** Something to be done with a saga: an attempt, or what is to be noted before any. */
interface Work {
  readonly saga: LiveSaga
  readonly run: StepRun | 'arrive' | 'expire'
}

/** A pause that is longer is looked at once a day. */
const LONGEST_TIMER_MS = 24 * 60 * 60 * 1_000

/** What the parts of a runner share. */
interface Room {
  readonly options: SagaRunnerOptions
  readonly sagas: Map<string, LiveSaga>
  readonly slots: Slots<Work>
  readonly steps: StepRunner
}

export function sagaRunner(options: SagaRunnerOptions): SagaRunner {
  const { world, owner } = options
  const sagas = new Map<string, LiveSaga>()
  const slots = sagaSlots<Work>({
    concurrency: options.concurrency,
    kindOf: ({ saga: { definition } }) => ({ name: definition.name, most: options.limits.get(definition.name) }),
    isOpen: () => owner() !== undefined,
    run: (work) => drive(room, work).catch((error) => afterBug(room, work, error)),
  })
  const room: Room = { options, sagas, slots, steps: stepRunner(options) }

  function dropAll(): void {
    for (const saga of sagas.values()) loseSaga(saga)
    sagas.clear()
    slots.clear()
  }

  return {
    take: (record, mine) => take(room, record, mine),
    decided(id) {
      const saga = sagas.get(id)
      if (saga?.flying !== 0) return
      saga.stale = true
      readAnew(room, saga)
    },
    wake: slots.wake,
    dropAll,
    count: () => ({ active: slots.size(), waiting: Math.max(0, sagas.size - slots.size()) }),
    size: () => sagas.size,
    has: (id) => sagas.has(id),
    async stop(drainMs) {
      slots.close()
      const over = new AbortController()
      // Rejects when the attempts ended in time, and that is well.
      await Promise.race([slots.idle(), sleep(world, drainMs, over.signal).catch(() => {})])
      over.abort()
      dropAll()
      await slots.idle()
    },
  }
}

function take(room: Room, record: SagaRecord, mine: SagaOwner): void {
  const definition = room.options.definitionOf(record)
  if (!definition) return
  const known = room.sagas.get(record.id)
  if (known && record.revision <= known.record.revision) return
  // Parked and woken again before this worker got to forgetting it; or decided about while it paused here.
  if (known) {
    known.successor = { record, owner: mine }
    if (known.flying === 0) replace(room, known)
    return
  }
  const saga = liveSaga(definition, mine, record, room.options.world)
  room.sagas.set(record.id, saga)
  resume(room, saga)
}

function replace(room: Room, saga: LiveSaga): void {
  loseSaga(saga)
  forget(room, saga)
}

function isHere({ sagas }: Room, saga: LiveSaga): boolean {
  return sagas.get(saga.record.id) === saga && !saga.lost.signal.aborted
}

/** One thing after another, as long as this saga has something to be done and no other one waits for its turn. */
async function drive(room: Room, first: Work): Promise<void> {
  for (let work: Work | undefined = first; work && isHere(room, work.saga); work = next(room, work.saga)) {
    if (work !== first && !room.slots.mayGoOn()) return room.slots.add(work)
    const { saga } = work
    if (!saga.stale) {
      const timely = inTime(room, work)
      saga.flying += 1
      const stored = await perform(room.steps, timely).finally(() => {
        saga.flying -= 1
        saga.begun.delete(nameOf(timely))
      })
      if (stored === 'taken') saga.stale = true
    }
    // Attempts that are still on their way end first: what comes next may take back what they do.
    if (saga.stale) return saga.flying === 0 ? reread(room, saga) : undefined
  }
}

/** What stood in line until the saga's time was over is not begun any more. */
function inTime({ options: { world } }: Room, work: Work): Work {
  const { saga } = work
  if (!isLate(saga, world.now()) || saga.arrival) return work
  saga.begun.delete(nameOf(work))
  saga.begun.add('expire')
  return { saga, run: 'expire' }
}

/** What is to be done next with a saga; several things get in line. */
function next(room: Room, saga: LiveSaga): Work | undefined {
  const isOver = saga.state.status === 'completed' || saga.state.status === 'compensated'
  // One may be at its end as it arrives, by a migration or by what a person said: that is not stored yet.
  if (saga.record.parked || (isOver && !saga.arrival)) return forget(room, saga)
  const [first, ...others] = workOf(room, saga).filter((work) => !saga.begun.has(nameOf(work)))
  if (!first) return saga.begun.size === 0 && saga.state.status === 'stuck' ? forget(room, saga) : undefined
  for (const work of [first, ...others]) saga.begun.add(nameOf(work))
  if (others.length === 0) return first
  // All of them in line, so that they start in their order.
  for (const work of [first, ...others]) room.slots.add(work)
  return undefined
}

function workOf(room: Room, saga: LiveSaga): Work[] {
  if (saga.arrival) return [{ saga, run: 'arrive' }]
  if (isLate(saga, room.options.world.now())) return [{ saga, run: 'expire' }]
  tellLate(room.options, saga)
  return actionsOf(saga.state).flatMap((action): Work[] => {
    if (action.kind !== 'wait') return [{ saga, run: action }]
    wait(room, saga, action.step, action.untilMs)
    return []
  })
}

/** By the clock that never jumps: what waits in memory waits for seconds. */
function wait(room: Room, saga: LiveSaga, step: string, untilMs: number = Number.POSITIVE_INFINITY): void {
  const { world, parkAfterMs } = room.options
  const name = `${saga.state.status} ${step}`
  if (saga.timers.has(name)) return
  const deadline = canExpire(saga) ? saga.deadline : undefined
  const leftMs = Math.max(0, untilMs - world.now())
  const pauseMs = Math.min(leftMs, longestPauseMs(saga, untilMs, parkAfterMs))
  const delayMs = Math.min(LONGEST_TIMER_MS, pauseMs, Math.max(0, (deadline ?? untilMs) - world.now()))
  const timer = world.after(delayMs, () => {
    saga.timers.delete(name)
    const passed = { due: delayMs === pauseMs, over: delayMs === leftMs }
    void wakeUp(room, saga, step, passed).catch((error) => afterBug(room, { saga, run: 'expire' }, error))
  })
  saga.timers.set(name, timer)
}

/** All of it waiting, it would be parked if the first of its pauses took longer: the clock has been set back since their ends were written. */
function longestPauseMs({ state }: LiveSaga, untilMs: number, parkAfterMs: number): number {
  if (statusOf(state) !== 'waiting') return Number.POSITIVE_INFINITY
  const first = Math.min(...pausesOf(state).map(({ wakeAt = untilMs }) => wakeAt))
  return parkAfterMs + (untilMs > first ? untilMs - first : 0)
}

/**
 * Looks whether somebody has decided about it during the pause, so that nothing is attempted that is not wanted any more. `due`: it has
 * paused long enough; `over`: all of the pause has passed.
 */
async function wakeUp(room: Room, saga: LiveSaga, step: string, { due, over }: { due: boolean; over: boolean }): Promise<void> {
  if (!isHere(room, saga)) return
  const record = saga.flying === 0 ? await readRecord(room.options, saga) : saga.record
  if (!isHere(room, saga)) return
  if (saga.flying === 0 && record?.revision !== saga.record.revision) {
    saga.stale = true
    return reread(room, saga)
  }
  // Another step's end that is being stored would write over this, and take what begins now for what it knew: for an undo, at worst.
  while (saga.storing) await saga.storing
  if (!isHere(room, saga)) return
  const now = room.options.world.now()
  if (due && !isLate(saga, now)) saga.state = after(saga.definition, saga.state, { kind: 'due', step, over }, now).state
  resume(room, saga)
}

function resume(room: Room, saga: LiveSaga): void {
  const work = next(room, saga)
  if (work) room.slots.add(work)
}

function forget(room: Room, saga: LiveSaga): undefined {
  for (const timer of saga.timers.values()) timer.cancel()
  if (room.sagas.get(saga.record.id) !== saga) return
  room.sagas.delete(saga.record.id)
  // An older one was read while a write of ours was on its way: it is behind what has been done.
  if (saga.successor && saga.successor.record.revision > saga.record.revision) take(room, saga.successor.record, saga.successor.owner)
}

/**
 * What gets here is a bug, of ours or of a telemetry library, or a codec that could not write; the saga must not be forgotten for it. What
 * has become of the attempt is not known, so the saga is taken up anew, as one that was cut off.
 */
function afterBug(room: Room, { saga }: Work, error: unknown): void {
  room.options.log.error({ saga: saga.record.id, error }, 'a saga could not be driven; trying again in 5 s')
  saga.stale = true
  const timer = room.options.world.after(5_000, () => {
    // Else the last attempt that is still on its way sees to it.
    if (isHere(room, saga) && saga.flying === 0) readAnew(room, saga)
  })
  saga.timers.set('after a bug', timer)
}

function readAnew(room: Room, saga: LiveSaga): void {
  void reread(room, saga).catch((error) => afterBug(room, { saga, run: 'expire' }, error))
}

/** The row has moved without us: it is another worker's, was decided about, or a commit went through whose answer was lost. */
async function reread(room: Room, saga: LiveSaga): Promise<void> {
  const record = await readRecord(room.options, saga)
  if (!isHere(room, saga)) return
  saga.successor = undefined
  forget(room, saga)
  loseSaga(saga)
  const isMine = record?.owner?.worker === saga.owner.worker && record.owner.epoch === saga.owner.epoch
  if (isMine) take(room, { ...record, claims: 2 }, saga.owner)
  else room.options.log.info({ saga: saga.record.id }, 'a saga is no longer with this worker')
}

function nameOf({ run }: Work): string {
  return typeof run === 'string' ? run : `${run.kind} ${run.step}`
}

function perform(steps: StepRunner, { saga, run }: Work): ReturnType<StepRunner['attempt']> {
  const step = stepOfState(saga.state) ?? saga.record.step ?? ''
  if (run === 'arrive') return steps.note(saga, arrivalEnd(saga), { step, action: saga.arrival ?? 'park' })
  if (run === 'expire') return steps.note(saga, EXPIRED, { step, action: 'do' })
  // It stood in line while the saga was turned round: nothing of it has happened.
  if (run.kind === 'do' && saga.state.status === 'undoing') return steps.note(saga, neverBegun(run.step), { step: run.step, action: 'do' })
  return steps.attempt(saga, run)
}

function arrivalEnd({ state }: LiveSaga): AttemptEnd {
  if (state.status !== 'stuck') return { event: { kind: 'done' }, result: undefined }
  return { event: { kind: 'unreadable', failure: state.failure }, result: undefined }
}

const EXPIRED: AttemptEnd = {
  event: { kind: 'cancel', why: { code: 'ERR_SAGA_DEADLINE', message: 'the time for all of it was over before the point of no return' } },
  result: undefined,
}

function neverBegun(step: string): AttemptEnd {
  const refusal = { code: 'ERR_NOT_BEGUN', message: 'the saga was turned round before it began' }
  return { event: { kind: 'refused', refusal, step }, result: undefined }
}

function canExpire({ definition, state }: LiveSaga): boolean {
  return state.status === 'running' && canTurn(definition, state)
}

function isLate(saga: LiveSaga, now: number): boolean {
  return saga.deadline !== undefined && saga.deadline <= now && canExpire(saga)
}

/** Past the pivot nothing comes of a deadline but that somebody should know. */
function tellLate({ world, log, service }: SagaRunnerOptions, saga: LiveSaga): void {
  const { definition, deadline, record, state } = saga
  if (deadline === undefined || saga.deadlineTold || state.status !== 'running' || deadline > world.now()) return
  saga.deadlineTold = true
  const step = stepOfState(state) ?? ''
  instruments().alerts.add(1, { 'banyan.service': service, 'banyan.saga': definition.name, 'banyan.step': step })
  log.error(
    { saga: record.id, key: record.key, name: definition.name, step, code: 'ERR_SAGA_DEADLINE' },
    'a saga past its point of no return is late; it goes on',
  )
}

/** Asks until there is an answer: a saga must not be lost because the database was away for a moment. */
async function readRecord({ database, world, log }: SagaRunnerOptions, saga: LiveSaga): Promise<SagaRecord | undefined> {
  const archive = database.store(sagaArchivePort)
  while (!saga.lost.signal.aborted) {
    try {
      return await database.read((tx) => archive.find(tx, saga.record.id))
    } catch (error) {
      log.warn({ saga: saga.record.id, error: messageOf(error) }, 'a saga could not be read; trying again')
      // Rejects when the saga is lost, which the loop's condition sees.
      await sleep(world, 200, saga.lost.signal).catch(() => {})
    }
  }
  return undefined
}
