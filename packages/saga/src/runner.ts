import { type Database, type Logger, messageOf, sleep, type World } from '@banyan/core'
import type { AnySaga } from './define.ts'
import { SagaError } from './errors.ts'
import { type LiveSaga, liveSaga } from './live-saga.ts'
import { type StepRun, stepRunner } from './run-step.ts'
import { sagaSlots } from './slots.ts'
import { type SagaOwner, type SagaRecord, type SagaStore, sagaArchivePort } from './store.ts'
import { actionOf } from './transition.ts'

export interface SagaRunnerOptions {
  readonly database: Database
  readonly store: SagaStore
  readonly world: World
  readonly log: Logger
  readonly service: string
  readonly concurrency: number
  readonly definitionOf: (record: SagaRecord) => AnySaga | undefined
  readonly owner: () => SagaOwner | undefined
}

/** The sagas a worker has in memory, and their steps. */
export interface SagaRunner {
  /** Runs a saga that belongs to `owner`; one that is here already goes on as it is. */
  take(record: SagaRecord, owner: SagaOwner): void
  /** Goes on after a time in which nothing could be begun. */
  wake(): void
  /** Forgets everything, at once: it belongs to others. */
  dropAll(): void
  count(): { active: number; waiting: number }
  /** Begins nothing new, waits up to `drainMs` for attempts in flight, then gives up on them. */
  stop(drainMs: number): Promise<void>
}

/** A pause is cut into pieces of this length: timers take no more than 2^31 ms. */
const LONGEST_TIMER_MS = 24 * 60 * 60 * 1_000

export function sagaRunner(options: SagaRunnerOptions): SagaRunner {
  const { world, definitionOf, owner } = options
  const sagas = new Map<string, LiveSaga>()
  const slots = sagaSlots<LiveSaga>(
    options.concurrency,
    () => owner() !== undefined,
    (saga) => drive(saga).catch((error) => afterBug(saga, error)),
  )
  const runStep = stepRunner(options)
  const isHere = (saga: LiveSaga) => sagas.get(saga.record.id) === saga && !saga.lost.signal.aborted

  /** Step after step, until it has to wait, ends, or is taken away. */
  async function drive(saga: LiveSaga): Promise<void> {
    while (isHere(saga)) {
      const run = nextRun(saga)
      if (run.kind === 'wait') return wait(saga, run.untilMs)
      if (run.kind === 'nothing') return void sagas.delete(saga.record.id)
      if (!slots.mayBegin()) return slots.add(saga)
      if ((await runStep(saga, run)) === 'taken') return reread(saga)
    }
  }

  /** What gets here is a bug, of ours or of a telemetry library; the saga must not be forgotten for it. */
  function afterBug(saga: LiveSaga, error: unknown): void {
    options.log.error({ saga: saga.record.id, error }, 'a saga could not be driven; trying again in 5 s')
    if (isHere(saga)) wait(saga, world.now() + 5_000)
  }

  function wait(saga: LiveSaga, untilMs: number): void {
    const delayMs = Math.min(LONGEST_TIMER_MS, Math.max(0, untilMs - world.now()))
    saga.timer = world.after(delayMs, () => {
      if (!isHere(saga)) return
      if (world.now() < untilMs) return wait(saga, untilMs)
      if (saga.state.status === 'waiting') saga.state = saga.state.resume
      slots.add(saga)
    })
  }

  /** The row has moved without us: it is another worker's, or a commit went through whose answer was lost. */
  async function reread(saga: LiveSaga): Promise<void> {
    const record = await readRecord(options, saga)
    if (!isHere(saga)) return
    sagas.delete(saga.record.id)
    if (record?.owner?.worker === saga.owner.worker && record.owner.epoch === saga.owner.epoch) take({ ...record, claims: 2 }, saga.owner)
    else options.log.info({ saga: saga.record.id }, 'a saga was taken over by another worker')
  }

  function take(record: SagaRecord, mine: SagaOwner): void {
    const definition = definitionOf(record)
    if (!definition || sagas.has(record.id)) return
    const saga = liveSaga(definition, mine, record, world)
    sagas.set(record.id, saga)
    slots.add(saga)
  }

  function dropAll(): void {
    const why = new SagaError('ERR_WORKER_STOPPED', 'this worker does not run the saga any more')
    for (const saga of sagas.values()) {
      saga.timer?.cancel()
      saga.lost.abort(why)
    }
    sagas.clear()
    slots.clear()
  }

  return {
    take,
    wake: slots.wake,
    dropAll,
    count: () => ({ active: slots.size(), waiting: sagas.size - slots.size() }),
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

function nextRun(saga: LiveSaga): StepRun | { kind: 'wait'; untilMs: number } | { kind: 'nothing' } {
  // Parked on the way in, because its definition has no such step any more: that is to be written down.
  if (saga.state.status === 'stuck' && saga.record.status !== 'stuck') return { kind: 'park' }
  return actionOf(saga.state)
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
