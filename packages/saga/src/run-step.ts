import { type Database, type Logger, messageOf, sleep, type Transaction, type World } from '@banyan/core'
import type { Span } from '@opentelemetry/api'
import { type Attempt, type AttemptEnd, attemptLocal, attemptRemote } from './attempt.ts'
import { reportEnd } from './child-end.ts'
import { decideStep, decides } from './decide-step.ts'
import type { SagaStep } from './definition.ts'
import { SagaError } from './errors.ts'
import { stepKey } from './first-names.ts'
import { isUnspread } from './forward.ts'
import { journalOf } from './journal.ts'
import { type Advance, advanceOf, contextResults, type LiveSaga, moveOn } from './live-saga.ts'
import { instruments } from './metrics.ts'
import { itemOf } from './results.ts'
import { stepNamed } from './shape.ts'
import { type Lane, stepOfState } from './state.ts'
import type { SagaStore } from './store.ts'
import { failSpan, inStoredTrace } from './trace.ts'
import { after, canTurn } from './transition.ts'
import { undoChild } from './undo-child.ts'
import { attemptWait, waitsForSignal } from './wait-step.ts'

export interface StepRunnerOptions {
  readonly database: Database
  readonly store: SagaStore
  readonly world: World
  readonly log: Logger
  readonly service: string
  readonly parkAfterMs: number
}

/** An attempt that is to be made. */
export interface StepRun {
  readonly kind: 'do' | 'undo'
  readonly step: string
}

/** `taken`: the saga has moved without us; nothing was stored. */
export type Stored = 'moved' | 'taken'

/** Makes attempts of the steps of a saga and stores what came of them. */
export interface StepRunner {
  /** Makes one attempt. */
  attempt(saga: LiveSaga, run: StepRun): Promise<Stored>
  /** Stores what came of something else than an attempt: how it was taken up, that its time is over, what never began. */
  note(saga: LiveSaga, end: AttemptEnd, entry: { step: string; action: 'do' | 'park' | 'migrate' }): Promise<Stored>
}

export function stepRunner(options: StepRunnerOptions): StepRunner {
  const { world } = options
  return {
    attempt: (saga, run) => attemptStep(options, saga, run),
    note: (saga, end, entry) => settleEnd(options, saga, end, { ...entry, attempt: 1, startedAt: world.now() }),
  }
}

function attemptStep(options: StepRunnerOptions, saga: LiveSaga, { kind, step }: StepRun): Promise<Stored> {
  const { service, world } = options
  const { record, definition } = saga
  const describe = () => ({
    name: `saga ${definition.name}/${step}${kind === 'undo' ? ' undo' : ''}`,
    attributes: {
      'banyan.service': service,
      'banyan.saga.id': record.id,
      'banyan.saga.key': record.key,
      'banyan.saga.action': kind,
    },
  })
  return inStoredTrace(record, describe, async (span) => {
    const begun = world.monotonic()
    const { end, stored } = await attemptAndStore(options, saga, kind, step)
    tell(span, end)
    const labels = { 'banyan.service': service, 'banyan.saga': definition.name, 'banyan.step': step, 'banyan.saga.action': kind }
    instruments().attempts.record((world.monotonic() - begun) / 1_000, { ...labels, 'banyan.outcome': end.event.kind })
    return stored
  })
}

function tell(span: Span, { event }: AttemptEnd): void {
  if (event.kind === 'failed') failSpan(span, event.failure.code, event.failure.message)
  if (event.kind === 'refused') span.setAttribute('banyan.refusal', event.refusal.code)
}

async function attemptAndStore(options: StepRunnerOptions, saga: LiveSaga, action: 'do' | 'undo', name: string) {
  const { world, database } = options
  const { attempt, lane } = attemptOf(options, saga, action, name)
  const { step } = attempt
  const entry = { step: name, action, attempt: attempt.call.attempt, startedAt: world.now() }
  let stored: { readonly end: AttemptEnd; readonly advance: Advance } | undefined
  /** In the transaction of the attempt, whose body may run again: then the end of the last run counts. */
  const advance = async (tx: Transaction, end: AttemptEnd, channel?: string) => {
    const made = advanceFor(options, saga, end, entry, channel)
    stored = { end, advance: made }
    if (!(await options.store.advance(tx, made.step)))
      throw new SagaError('ERR_SAGA_TAKEN', `saga "${saga.record.id}" was taken over by another worker`)
    await reportEnd(tx, saga.definition.codec, saga.record, endOf(made))
  }
  let end: AttemptEnd
  if (action === 'do' && decides(step, isUnspread(lane, step))) end = decideStep(world, attempt, lane)
  else if (action === 'do' && waitsForSignal(step))
    end = await attemptWait({ world, database, definition: saga.definition, attempt, lane, advance })
  else if (step.kind === 'local') end = await attemptLocal(world, database, attempt, advance)
  else if (step.kind === 'child') end = await undoChild({ world, database, attempt, advance })
  else end = await attemptRemote(world, attempt)
  // A worker that lost the saga, or stops, has nothing to say about it.
  if (saga.lost.signal.aborted) return { end, stored: 'taken' as const }
  if (end.event.kind === 'failed' && end.event.failure.code === 'ERR_SAGA_TAKEN') return { end, stored: 'taken' as const }
  if (stored?.end !== end) return { end, stored: await settleEnd(options, saga, end, entry) }
  settle(options, saga, stored.advance)
  return { end, stored: 'moved' as const }
}

function attemptOf({ world }: StepRunnerOptions, saga: LiveSaga, action: 'do' | 'undo', name: string): { attempt: Attempt; lane: Lane } {
  const { definition, record, state, input, lost, deadline } = saga
  // The shape's steps of a definition are its own.
  const step = stepNamed(definition, name) as SagaStep | undefined
  // `after` has stopped every saga whose state names a step that is not there.
  if (!step) throw new SagaError('ERR_STEP_UNKNOWN', `saga "${record.id}": there is no step "${name}"`)
  const running = state.status === 'running' ? state.lanes.find(({ at }) => at === name) : undefined
  const lane: Lane = running ?? { at: name, failures: 0, doubt: false }
  const failures = state.status === 'undoing' ? state.failures : lane.failures
  const item = itemOf(saga.results, name)
  const leftMs = deadline !== undefined && state.status === 'running' && canTurn(definition, state) ? deadline - world.now() : undefined
  const withinMs = leftMs === undefined || step.withinMs === undefined ? step.withinMs : Math.max(1, Math.min(step.withinMs, leftMs))
  return {
    lane,
    attempt: {
      ...{ step, action, sagaKey: record.key, results: contextResults(saga), signal: lost.signal },
      ...(item && { item }),
      ...(withinMs !== undefined && { withinMs }),
      call: { input, id: record.id, key: stepKey(record.id, state, name), attempt: failures + 1 },
      cause: state.status === 'undoing' ? state.cause : undefined,
    },
  }
}

function advanceFor(
  options: StepRunnerOptions,
  saga: LiveSaga,
  end: AttemptEnd,
  entry: Parameters<typeof advanceOf>[3],
  channel?: string,
): Advance {
  const { world, parkAfterMs } = options
  const now = world.now()
  const event = 'step' in end.event || entry.action === 'park' ? end.event : { ...end.event, step: entry.step }
  // How it was taken up is its state already; everything else moves it.
  const turn = entry.action === 'park' || entry.action === 'migrate' ? undefined : after(saga.definition, saga.state, event, now)
  const { state, alert } = turn ?? { state: saga.state, alert: saga.state.status === 'stuck' }
  const deadline = state.status === 'running' && canTurn(saga.definition, state) ? saga.deadline : undefined
  const waits = end.event.kind === 'waits' ? channel : undefined
  return advanceOf(saga, { state, alert }, end, entry, { now, parkAfterMs, deadline, channel: waits })
}

/** Stores what came of an attempt, one end after another where several are on. */
function settleEnd(options: StepRunnerOptions, saga: LiveSaga, end: AttemptEnd, entry: Parameters<typeof advanceOf>[3]): Promise<Stored> {
  // Not by those that run: one that stands in line may end while this is being stored.
  if (saga.begun.size <= 1) return storeEnd(options, saga, end, entry)
  const turn = saga.tail.then(() => storeEnd(options, saga, end, entry))
  // The next one goes on whatever becomes of this one.
  saga.tail = turn.catch(() => undefined)
  return turn
}

async function storeEnd(
  options: StepRunnerOptions,
  saga: LiveSaga,
  end: AttemptEnd,
  entry: Parameters<typeof advanceOf>[3],
): Promise<Stored> {
  if (saga.stale) return 'taken'
  const advance = advanceFor(options, saga, end, entry)
  const storing = store(options, saga, advance)
  saga.storing = storing
  const stored = await storing
  saga.storing = undefined
  if (stored === 'taken') saga.stale = true
  else settle(options, saga, advance)
  return stored
}

/** Stores it however long the database is away: the attempt is over and cannot be unmade. */
async function store(options: StepRunnerOptions, saga: LiveSaga, advance: Advance): Promise<Stored> {
  const { world, log } = options
  const { step } = advance
  while (!saga.lost.signal.aborted) {
    try {
      return (await write(options, saga, advance)) ? 'moved' : 'taken'
    } catch (error) {
      log.warn({ saga: step.id, error: messageOf(error) }, 'a saga could not be stored; trying again')
      // Rejects when the saga is lost, which the loop's condition sees.
      await sleep(world, 200, saga.lost.signal).catch(() => {})
    }
  }
  return 'taken'
}

function write(options: StepRunnerOptions, saga: LiveSaga, advance: Advance): Promise<boolean> {
  if (saga.record.report === undefined || !isOver(advance)) return journalOf(options.store).advance(advance.step)
  // The saga that started this one learns of its end, or neither is there.
  return options.database.transaction(async (tx) => {
    const moved = await options.store.advance(tx, advance.step)
    if (moved) await reportEnd(tx, saga.definition.codec, saga.record, endOf(advance))
    return moved
  })
}

function endOf({ state: { status }, step: { state, output } }: Advance): Parameters<typeof reportEnd>[3] {
  return { status, state, output }
}

function isOver({ state: { status } }: Advance): boolean {
  return status === 'completed' || status === 'compensated'
}

function settle(options: StepRunnerOptions, saga: LiveSaga, advance: Advance): void {
  moveOn(saga, advance)
  report(options, saga, advance)
}

function report({ log, service }: StepRunnerOptions, saga: LiveSaga, { step: { id, entry }, state, alert }: Advance): void {
  const { name, version } = saga.definition
  const { step, action, attempt, outcome, code, message } = entry
  const labels = { 'banyan.service': service, 'banyan.saga': name }
  if (state.status === 'completed' || state.status === 'compensated')
    instruments().ended.add(1, { ...labels, 'banyan.outcome': state.status })
  if (alert) instruments().alerts.add(1, { ...labels, 'banyan.step': step })
  if (!alert && outcome === 'done' && !code) return
  const fields = { saga: id, key: saga.record.key, name, version, step: step || stepOfState(state), action, attempt, code, message }
  if (state.status === 'stuck') log.error(fields, 'a saga is stuck: somebody has to decide, see "banyan saga show"')
  else if (alert) log.error(fields, 'a saga past its point of no return keeps failing; it is tried on')
  else if (outcome === 'failed') log.warn(fields, 'an attempt of a saga step failed')
  else if (outcome === 'done') log.warn(fields, 'a saga has ended without its output')
  else if (outcome === 'refused') log.info(fields, 'a saga step was refused')
}
