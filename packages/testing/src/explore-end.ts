import { type AttemptEnd, type SagaEvent, withResult } from '@banyan/saga/internal'
import { givenUp, type Settled } from './explore-engine.ts'
import { DATABASE_AWAY, type FaultKind } from './explore-fault.ts'
import { type Begun, type Moment, withoutAttempt } from './explore-moment.ts'
import { crashed, type Move, mayFail, type Site } from './explore-site.ts'
import { actionId, actorText, numeral } from './explore-words.ts'

/** An attempt is over, and what came of it is to be stored. */
interface Over {
  readonly site: Site
  readonly moment: Moment
  readonly begun: Begun
  readonly end: AttemptEnd
}

/** What may become of an attempt that has ended and is not stored: of a remote step, or a local one whose transaction was rolled back. */
export function endMoves(site: Site, moment: Moment, begun: Begun, end: AttemptEnd): Move[] {
  const over: Over = { site, moment, begun, end }
  const { life } = moment
  const id = actionId(begun)
  const stored = storedAs(over, site.engine.settle(moment.state, begun, end.event))
  const line = `worker ${life} stores: ${endText(over)}`
  const next = `worker ${life + 1} resumes`
  return [
    { id: `${id}.store`, cost: 0, to: stored, tell: () => `${line}${nextText(site, stored)}` },
    ...givesUp(over, 0, `${id}.gives-up`, line),
    ...fault(over, 'crash', 'crash', crashed(site, moment), `WORKER ${life} DIES before it has stored: ${endText(over)}; ${next}`),
    ...fault(over, 'crash', 'crash-after', crashed(site, stored), `${line}; WORKER ${life} DIES after it; ${next}`),
    ...fault(
      over,
      'pause',
      'pause',
      crashed(site, moment),
      `WORKER ${life} SLEEPS before it has stored: ${endText(over)}; ${next}. What worker ${life} stores when it wakes is refused: its lease is lost`,
    ),
  ]
}

/** What may become of a step in the service's own database, which commits together with the saga's advance. */
export function localMoves(site: Site, moment: Moment, begun: Begun, end: AttemptEnd, local: string): Move[] {
  const over: Over = { site, moment, begun, end }
  const { life } = moment
  const committed = { ...storedAs(over, site.engine.settle(moment.state, begun, end.event)), local }
  const line = `${actorText(moment, begun)} in its own database, and stores it in the same transaction`
  const next = `worker ${life + 1} resumes`
  const event: SagaEvent = { kind: 'failed', failure: DATABASE_AWAY, hopeless: false, retryAfterMs: undefined, random: 0 }
  const failed: Over = { ...over, begun: { ...begun, hit: true }, end: { event, result: undefined } }
  const away = `${actorText(moment, begun)}; THE DATABASE CANNOT BE REACHED`
  const failedOnce = storedAs(failed, site.engine.settle(moment.state, begun, event))
  return [
    { id: `${actionId(begun)}.commit`, cost: 0, to: committed, tell: () => `${line}${nextText(site, committed)}` },
    ...fault(over, 'crash', 'crash', crashed(site, moment), `${actorText(moment, begun)}; WORKER ${life} DIES before the commit; ${next}`),
    ...fault(over, 'crash', 'crash-after', crashed(site, committed), `${line}; WORKER ${life} DIES after the commit; ${next}`),
    ...fault(over, 'error', 'error', failedOnce, `${away}: it is tried again`),
    ...(mayFail(site, moment, 'error') ? givesUp(failed, 1, `${actionId(begun)}.error-gives-up`, away) : []),
  ]
}

/** A step that was to start beside others when the saga turned round: it may not have begun. */
export function neverBegun(site: Site, moment: Moment, begun: Begun): Move[] {
  if (begun.kind === 'undo' || moment.state.status !== 'undoing') return []
  const refusal = { code: 'ERR_NOT_BEGUN', message: 'the saga was turned round before it began' }
  const over: Over = { site, moment, begun, end: { event: { kind: 'refused', refusal }, result: undefined } }
  const to = storedAs(over, site.engine.settle(moment.state, begun, over.end.event))
  const tell = () => `worker ${moment.life} does not begin "${begun.step}" any more${nextText(site, to)}`
  return [{ id: `${begun.step}.not-begun`, cost: 0, to, tell }]
}

/** The attempts after this one fail alike, until the engine gives up. */
function givesUp(over: Over, cost: 0 | 1, id: string, line: string): Move[] {
  const { site, moment, begun, end } = over
  if (end.event.kind === 'done') return []
  const settled = givenUp(site.engine, moment.state, begun, end.event)
  if (settled) {
    const to = { ...storedAs(over, settled), faults: moment.faults + cost }
    // Those that failed before it count.
    const last = site.engine.failures(moment.state, begun) + settled.times
    const tell = () => `${line}; so do all attempts up to the ${numeral(last)}${nextText(site, to)}`
    // Given up at once: that is what storing it does.
    return settled.times === 1 ? [] : [{ id, cost, to, tell }]
  }
  // What else is under way may change the answer yet.
  if (begun.hit || moment.wire.length > 0 || site.engine.actions(moment.state).length > 1) return []
  const why = `step "${begun.step}" can neither be done nor given up: each attempt ends with ${endText(over)}`
  return [{ id, cost, to: { ...moment, attempts: [], wrong: why, faults: moment.faults + cost }, tell: () => `${line}, again and again` }]
}

/** The moment after the saga's advance is stored. */
function storedAs({ site, moment, begun, end }: Over, { state, alert }: Settled): Moment {
  const { kind, step } = begun
  const isDone = kind === 'do' && end.event.kind === 'done'
  const done = isDone && !moment.done.includes(step) ? [...moment.done, step].sort() : moment.done
  const name = site.engine.resultName(step, end.event)
  const results = kind === 'do' ? withResult(moment.results, name, end.result) : moment.results
  const passed = moment.passed || (isDone && site.engine.step(step).place === 'pivot')
  const stuck = state.status === 'stuck'
  const excused = moment.excused || (stuck && begun.hit)
  const wrong = alert && !begun.hit ? alertText({ site, moment, begun, end }, stuck) : undefined
  return { ...withoutAttempt(moment, begun), state, results, done, passed, excused, wrong }
}

function alertText(over: Over, stuck: boolean): string {
  const { kind, step } = over.begun
  const what = `${kind === 'do' ? 'step' : 'the undo of step'} "${step}" ended with ${endText(over)}`
  return stuck ? `the saga is stuck and needs a person: ${what}` : `the saga cannot come to its end: ${what}, too often`
}

function fault(over: Over, kind: FaultKind, id: string, to: Moment, line: string): Move[] {
  const { site, moment, begun } = over
  if (!mayFail(site, moment, kind)) return []
  return [{ id: `${actionId(begun)}.${id}`, cost: 1, to: { ...to, faults: moment.faults + 1 }, tell: () => line }]
}

function endText({ begun, end }: Over): string {
  const { kind, step } = begun
  if (end.event.kind === 'done') return `"${step}" is ${kind === 'do' ? 'done' : 'undone'}`
  if (end.event.kind === 'refused') return `"${step}" was refused, ${end.event.refusal.code}`
  if (end.event.kind === 'failed') return `an error, ${end.event.failure.code}: ${end.event.failure.message}`
  if (end.event.kind === 'chosen') return `"${step}" says ${end.event.yes ? 'yes' : 'no'}`
  return end.event.kind === 'spread' ? `"${step}" is for ${end.event.items} items` : `"${step}": nothing has come`
}

function nextText({ engine }: Site, { state }: Moment): string {
  const next = engine.actions(state).map(({ kind, step }) => `${kind} "${step}"`)
  return next.length > 0 ? `; next: ${next.join(' or ')}` : `; the saga is ${state.status}`
}
