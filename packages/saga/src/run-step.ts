import { type Database, type Logger, messageOf, sleep, type Transaction, type World } from '@banyan/core'
import type { Attributes } from '@opentelemetry/api'
import { type Attempt, type AttemptEnd, attemptLocal, attemptRemote } from './attempt.ts'
import { SagaError } from './errors.ts'
import { journalOf } from './journal.ts'
import { advanceOf, type LiveSaga, moveOn } from './live-saga.ts'
import { instruments } from './metrics.ts'
import { stepOfState } from './state.ts'
import type { SagaAdvance, SagaStore } from './store.ts'
import { failSpan, inStoredTrace } from './trace.ts'
import { after, type Turn } from './transition.ts'

export interface StepRunnerOptions {
  readonly database: Database
  readonly store: SagaStore
  readonly world: World
  readonly log: Logger
  readonly service: string
}

/** What is to be done with a saga: an attempt of a step, or writing down that it is parked. */
export type StepRun = { readonly kind: 'do' | 'undo'; readonly step: string } | { readonly kind: 'park' }

/** Makes one step of a saga and stores what came of it. `taken`: the saga has moved without us; nothing was stored. */
export type StepRunner = (saga: LiveSaga, run: StepRun) => Promise<'moved' | 'taken'>

export function stepRunner(options: StepRunnerOptions): StepRunner {
  return (saga, run) => (run.kind === 'park' ? park(options, saga) : attemptStep(options, saga, run.kind, run.step))
}

async function park(options: StepRunnerOptions, saga: LiveSaga): Promise<'moved' | 'taken'> {
  const { world } = options
  if (saga.state.status !== 'stuck') return 'moved'
  const { failure } = saga.state
  const end: AttemptEnd = { event: { kind: 'failed', failure, hopeless: true, retryAfterMs: undefined, random: 0 }, result: undefined }
  const turn: Turn = { state: saga.state, action: { kind: 'nothing' }, alert: true }
  const entry = { step: stepOfState(saga.state) ?? '', action: 'park', attempt: 1, startedAt: world.now() } as const
  return store(options, saga, turn, advanceOf(saga, turn, end, entry, world.now()))
}

function attemptStep(options: StepRunnerOptions, saga: LiveSaga, action: 'do' | 'undo', step: string): Promise<'moved' | 'taken'> {
  const { service, world } = options
  const { record, definition } = saga
  const attributes: Attributes = {
    'banyan.service': service,
    'banyan.saga.id': record.id,
    'banyan.saga.key': record.key,
    'banyan.saga.action': action,
  }
  const name = `saga ${definition.name}/${step}${action === 'undo' ? ' undo' : ''}`
  return inStoredTrace(record, name, attributes, async (span) => {
    const begun = world.monotonic()
    const { end, result } = await attemptAndStore(options, saga, action, step)
    const outcome = end.event.kind
    if (end.event.kind === 'failed') failSpan(span, end.event.failure.code, end.event.failure.message)
    if (end.event.kind === 'refused') span.setAttribute('banyan.refusal', end.event.refusal.code)
    const labels = { 'banyan.service': service, 'banyan.saga': definition.name, 'banyan.step': step, 'banyan.saga.action': action }
    instruments().attempts.record((world.monotonic() - begun) / 1_000, { ...labels, 'banyan.outcome': outcome })
    return result
  })
}

async function attemptAndStore(options: StepRunnerOptions, saga: LiveSaga, action: 'do' | 'undo', name: string) {
  const { world, database } = options
  const attempt = attemptOf(saga, action, name)
  const entry = { step: name, action, attempt: attempt.call.attempt, startedAt: world.now() }
  const turnOf = (end: AttemptEnd): [Turn, SagaAdvance] => {
    const turn = after(saga.definition, saga.state, end.event, world.now())
    return [turn, advanceOf(saga, turn, end, entry, world.now())]
  }
  let stored: [Turn, SagaAdvance] | undefined
  const advance = async (tx: Transaction, end: AttemptEnd) => {
    stored = turnOf(end)
    if (await options.store.advance(tx, stored[1])) return
    throw new SagaError('ERR_SAGA_TAKEN', `saga "${saga.record.id}" was taken over by another worker`)
  }
  const local = attempt.step.kind === 'local'
  const end = local ? await attemptLocal(world, database, attempt, advance) : await attemptRemote(world, attempt)
  // A worker that lost the saga, or stops, has nothing to say about it.
  if (saga.lost.signal.aborted) return { end, result: 'taken' as const }
  if (local && end.event.kind === 'done' && stored) {
    settle(options, saga, ...stored)
    return { end, result: 'moved' as const }
  }
  if (end.event.kind === 'failed' && end.event.failure.code === 'ERR_SAGA_TAKEN') return { end, result: 'taken' as const }
  return { end, result: await store(options, saga, ...turnOf(end)) }
}

function attemptOf({ definition, record, state, input, results, lost }: LiveSaga, action: 'do' | 'undo', name: string): Attempt {
  const step = definition.steps.find((one) => one.name === name)
  // `after` has parked every saga whose state names a step that is not there.
  if (!step) throw new SagaError('ERR_STEP_UNKNOWN', `saga "${record.id}": there is no step "${name}"`)
  const failures = state.status === 'running' || state.status === 'undoing' ? state.failures : 0
  return {
    step,
    action,
    sagaKey: record.key,
    call: { input, id: record.id, key: `${record.id}:${name}`, attempt: failures + 1 },
    results,
    cause: state.status === 'undoing' ? state.cause : undefined,
    signal: lost.signal,
  }
}

/** Stores what came of an attempt, however long the database is away: the attempt is over and cannot be unmade. */
async function store(options: StepRunnerOptions, saga: LiveSaga, turn: Turn, advance: SagaAdvance): Promise<'moved' | 'taken'> {
  const { world, log } = options
  const journal = journalOf(options.store)
  while (!saga.lost.signal.aborted) {
    try {
      if (!(await journal.advance(advance))) return 'taken'
      settle(options, saga, turn, advance)
      return 'moved'
    } catch (error) {
      log.warn({ saga: advance.id, error: messageOf(error) }, 'a saga could not be stored; trying again')
      // Rejects when the saga is lost, which the loop's condition sees.
      await sleep(world, 200, saga.lost.signal).catch(() => {})
    }
  }
  return 'taken'
}

function settle({ log, service }: StepRunnerOptions, saga: LiveSaga, turn: Turn, advance: SagaAdvance): void {
  const { name, version } = saga.definition
  const { step, action, attempt, outcome, code, message } = advance.entry
  const labels = { 'banyan.service': service, 'banyan.saga': name }
  const fields = { saga: advance.id, key: saga.record.key, name, version, step, action, attempt, code, message }
  moveOn(saga, advance, turn.state)
  if (turn.alert) instruments().alerts.add(1, { ...labels, 'banyan.step': step })
  if (turn.state.status === 'stuck') log.error(fields, 'a saga is stuck: somebody has to decide, see "banyan saga show"')
  else if (turn.alert) log.error(fields, 'a saga past its point of no return keeps failing; it is tried on')
  else if (outcome === 'failed' || (outcome === 'done' && code))
    log.warn(fields, outcome === 'done' ? 'a saga has ended without its output' : 'an attempt of a saga step failed')
  else if (outcome === 'refused') log.info(fields, 'a saga step was refused')
  if (turn.state.status === 'completed' || turn.state.status === 'compensated')
    instruments().ended.add(1, { ...labels, 'banyan.outcome': turn.state.status })
}
