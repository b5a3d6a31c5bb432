import { callMoves } from './explore-call.ts'
import { endMoves, localMoves, neverBegun } from './explore-end.ts'
import { type Begun, begunOf, type Moment, type Sent, withEffects } from './explore-moment.ts'
import { type Move, mayFail, type Site, sorted } from './explore-site.ts'
import { waitMoves } from './explore-wait.ts'
import { actionId, answerText, operationText } from './explore-words.ts'

/** Everything that may happen next; what needs no fault comes first. Nothing: the schedule is over. */
export async function movesOf(site: Site, moment: Moment): Promise<Move[]> {
  if (moment.wrong !== undefined) return []
  const moves: Move[] = []
  for (const action of site.engine.actions(moment.state)) {
    const begun = begunOf(moment, action)
    const fresh: Begun = { kind: action.kind, step: action.step, answers: [], calling: undefined, hit: false }
    moves.push(...(await attemptMoves(site, moment, begun ?? fresh)))
    if (!begun) moves.push(...neverBegun(site, moment, fresh))
  }
  if (moves.length > 0) moves.push(...(await cancelMoves(site, moment)), ...(await besideMoves(site, moment)))
  for (const sent of distinct(moment.wire)) moves.push(await letterMove(site, moment, sent), ...diesHalfway(site, moment, sent))
  return distinctIds(moves.sort((one, other) => one.cost - other.cost))
}

/** Two calls of one step may be under way: a schedule must say which of them arrives. */
function distinctIds(moves: readonly Move[]): Move[] {
  const seen = new Map<string, number>()
  return moves.map((move) => {
    const count = (seen.get(move.id) ?? 0) + 1
    seen.set(move.id, count)
    return count === 1 ? move : { ...move, id: `${move.id}#${count}` }
  })
}

async function attemptMoves(site: Site, moment: Moment, begun: Begun): Promise<Move[]> {
  const { kind } = site.engine.step(begun.step)
  if (begun.kind === 'do' && (kind === 'wait' || kind === 'approve' || kind === 'child')) return waitMoves(site, moment, begun, kind)
  const came = await site.bodies.run(moment, begun)
  if ('asked' in came) return callMoves(site, moment, begun, came.asked)
  const local = site.engine.step(begun.step).kind === 'local'
  if (local && came.end.event.kind === 'done') return localMoves(site, moment, begun, came.end, came.local ?? moment.local)
  return endMoves(site, moment, begun, came.end)
}

/** What may happen once, at any time before the saga has ended. */
async function besideMoves({ bodies, meanwhile }: Site, moment: Moment): Promise<Move[]> {
  const moves: Move[] = []
  for (const [name, body] of Object.entries(meanwhile)) {
    if (moment.happened.includes(name)) continue
    const came = await bodies.beside(moment, name, body)
    const happened = [...moment.happened, name].sort()
    const to = 'local' in came ? { ...moment, happened, local: came.local } : { ...moment, happened }
    moves.push({
      id: `meanwhile.${name}`,
      cost: 0,
      to,
      tell: () => `meanwhile: ${name}${'error' in came ? `; it fails: ${came.error}` : ''}`,
    })
  }
  return moves
}

/** Somebody cancels it, or its time is over: once, and only while it can still go back. */
async function cancelMoves(site: Site, moment: Moment): Promise<Move[]> {
  const { engine, cancel } = site
  const turned = (id: string, code: string, line: string): Move[] => {
    const state = moment.happened.includes(code) ? undefined : engine.cancelled(moment.state, { code, message: line })
    if (!state) return []
    return [{ id, cost: 0, to: { ...moment, state, happened: [...moment.happened, code].sort() }, tell: () => line }]
  }
  const late = engine.deadlineMs === undefined ? [] : turned('deadline', 'ERR_SAGA_DEADLINE', 'the time of the saga is over')
  // Whoever cancels does it behind the worker's back, which reads the saga anew once what it has begun has ended, unheard.
  const cancelled = cancel && (await haveEnded(site, moment)) ? turned('cancel', 'ERR_SAGA_CANCELLED', 'somebody cancels the saga') : []
  return [...late, ...cancelled.map((move) => ({ ...move, to: { ...move.to, state: engine.resumed(move.to.state), attempts: [] } }))]
}

/** Whether no attempt is in the middle: each has come to its end, and is not stored. */
async function haveEnded({ bodies }: Site, moment: Moment): Promise<boolean> {
  for (const begun of moment.attempts) if (begun.calling || 'asked' in (await bodies.run(moment, begun))) return false
  return true
}

/** A late call, or a copy of one, arrives. */
async function letterMove(site: Site, moment: Moment, sent: Sent): Promise<Move> {
  const { letter, step, kind } = sent
  const handled = await site.handle(letter, moment.books)
  const rest = moment.wire.filter((other) => other !== sent)
  const wire = handled.answer ? rest : sorted([...rest, { ...sent, letter: { ...letter, steps: handled.steps } }])
  const books = { ...moment.books, [letter.service]: handled.book }
  const to = withEffects({ ...moment, wire, books }, step, letter, handled.effects)
  return {
    id: `${actionId({ kind, step })}.arrives`,
    cost: 0,
    to,
    tell: () => `a call of "${step}" that was under way arrives: ${operationText(letter)} -> ${answerText(handled)}; nobody waits for it`,
  }
}

/** Whoever answers a call that nobody waits for may die as well, and leave it half done. */
function diesHalfway(site: Site, moment: Moment, sent: Sent): Move[] {
  const { letter, step, kind } = sent
  if (letter.steps.length === 0 || !mayFail(site, moment, 'error')) return []
  const to = { ...moment, wire: moment.wire.filter((other) => other !== sent), faults: moment.faults + 1 }
  const tell = () => `"${letter.service}" DIES HALFWAY through ${letter.operation}, a call of "${step}" that nobody waits for`
  return [{ id: `${actionId({ kind, step })}.arrives-halfway`, cost: 1, to, tell }]
}

/** Copies of one call are alike: which of them arrives is no difference. */
function distinct(wire: readonly Sent[]): Sent[] {
  if (wire.length < 2) return [...wire]
  const seen = new Map(wire.map((sent) => [JSON.stringify(sent), sent]))
  return [...seen.values()]
}
