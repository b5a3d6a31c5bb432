import { callMoves } from './explore-call.ts'
import { endMoves, localMoves } from './explore-end.ts'
import { type Begun, begunOf, type Moment, type Sent, withEffects } from './explore-moment.ts'
import type { Move, Site } from './explore-site.ts'
import { answerText, operationText } from './explore-words.ts'

/** Everything that may happen next; what needs no fault comes first. Nothing: the schedule is over. */
export async function movesOf(site: Site, moment: Moment): Promise<Move[]> {
  if (moment.wrong !== undefined) return []
  const moves: Move[] = []
  for (const action of site.engine.actions(moment.state)) {
    const begun: Begun = begunOf(moment, action) ?? { kind: action.kind, step: action.step, answers: [], calling: undefined, hit: false }
    moves.push(...(await attemptMoves(site, moment, begun)))
  }
  if (moves.length > 0) moves.push(...(await besideMoves(site, moment)))
  for (const sent of distinct(moment.wire)) moves.push(await letterMove(site, moment, sent))
  return moves.sort((one, other) => one.cost - other.cost)
}

async function attemptMoves(site: Site, moment: Moment, begun: Begun): Promise<Move[]> {
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

/** A late call, or a copy of one, arrives. */
async function letterMove(site: Site, moment: Moment, sent: Sent): Promise<Move> {
  const { letter, step, kind } = sent
  const handled = await site.handle(letter, moment.books)
  const rest = moment.wire.filter((other) => other !== sent)
  const wire = handled.answer ? rest : [...rest, { ...sent, letter: { ...letter, steps: handled.steps } }]
  const books = { ...moment.books, [letter.service]: handled.book }
  const to = withEffects({ ...moment, wire, books }, step, letter, handled.effects)
  return {
    id: `${kind === 'undo' ? 'undo-' : ''}${step}.arrives`,
    cost: 0,
    to,
    tell: () => `a call of "${step}" that was under way arrives: ${operationText(letter)} -> ${answerText(handled)}; nobody waits for it`,
  }
}

/** Copies of one call are alike: which of them arrives is no difference. */
function distinct(wire: readonly Sent[]): Sent[] {
  if (wire.length < 2) return [...wire]
  const seen = new Map(wire.map((sent) => [JSON.stringify(sent), sent]))
  return [...seen.values()]
}
