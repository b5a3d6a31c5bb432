import { isRefusal } from '@banyan/core'
import { ExploreError } from './explore-errors.ts'
import { ANSWER_LOST, DIED_HALFWAY, type FaultKind, NOT_REACHED } from './explore-fault.ts'
import { type Begun, effectOfOther, type Moment, withAttempt, withEffects } from './explore-moment.ts'
import { type Handled, type Letter, operationNamed } from './explore-operation.ts'
import { type Answer, type Asked, fromText, toText } from './explore-run.ts'
import type { Operation } from './explore-service.ts'
import { crashed, type Move, mayFail, type Site, sorted } from './explore-site.ts'
import { actionId, actorText, answerText, operationText } from './explore-words.ts'

/** A call that is on its way, or in the middle of being answered, and what may become of it. */
interface Call {
  readonly site: Site
  readonly moment: Moment
  readonly begun: Begun
  readonly letter: Letter
  readonly operation: Operation<never>
  readonly handled: Handled
}

/** What may become of a step's call. */
export async function callMoves(site: Site, moment: Moment, begun: Begun, asked: Asked): Promise<Move[]> {
  const letter = begun.calling ?? letterOf(site, asked)
  const operation = operationNamed(site.services[letter.service]?.operations ?? {}, letter.service, letter.operation)
  const handled = await site.handle(letter, moment.books)
  const call: Call = { site, moment, begun, letter, operation, handled }
  const moves = [answered(call), ...lost(call), ...notReached(call), ...late(call), ...twice(call), ...crashes(call)]
  return [...moves, ...(await refusals(call))]
}

/** The moment after one atomic step of the service. `answer`: what the caller sees in place of its answer. */
function moved({ moment, begun, letter, handled }: Call, answer: Answer | undefined = handled.answer, hit: boolean = begun.hit): Moment {
  const books = { ...moment.books, [letter.service]: handled.book }
  const next = withEffects({ ...moment, books }, begun.step, letter, handled.effects)
  const attempt: Begun = answer
    ? { ...begun, answers: [...begun.answers, answer], calling: undefined, hit }
    : { ...begun, calling: { ...letter, steps: handled.steps } }
  return withAttempt(next, attempt)
}

function answered(call: Call): Move {
  const to = { ...moved(call), wrong: takenForAnother(call) }
  return { id: `${actionId(call.begun)}.call`, cost: 0, to, tell: () => `${callText(call)} -> ${answerText(call.handled)}` }
}

/** A guard that knows the key says that it is done, and what it has done is another step's: nothing of this one will ever happen. */
function takenForAnother({ moment, begun, letter, operation, handled }: Call): string | undefined {
  const { answer, effects } = handled
  const isDone = answer && 'value' in answer && !isRefusal(fromText(answer.value))
  if (begun.kind === 'undo' || effects !== 0 || !isDone || typeof operation !== 'object' || !('guard' in operation)) return undefined
  const other = effectOfOther(moment, begun.step, letter)
  return other && `each step has a key of its own: "${begun.step}" is taken for a repetition of "${other.step}" (${other.at})`
}

/** The moment after a fault that leaves the caller with an error, and the service as it is. */
function failedCall({ moment, begun }: Call, answer: Answer): Moment {
  return withAttempt(moment, { ...begun, answers: [...begun.answers, answer], calling: undefined, hit: true })
}

function lost(call: Call): Move[] {
  const { handled } = call
  if (handled.answer === undefined) return []
  return fault(call, 'lost', 'lost', () => [
    moved(call, ANSWER_LOST, true),
    `${callText(call)} -> ${answerText(handled)}; THE ANSWER IS LOST, the worker sees a timeout`,
  ])
}

function notReached(call: Call): Move[] {
  if (call.letter.steps.length === 0) {
    return fault(call, 'error', 'error', () => [failedCall(call, NOT_REACHED), `${callText(call)}; THE CALL DOES NOT GET THERE`])
  }
  return fault(call, 'error', 'halfway', () => [
    failedCall(call, DIED_HALFWAY),
    `${callText(call)}; "${call.letter.service}" DIES HALFWAY, the worker sees an error`,
  ])
}

function late(call: Call): Move[] {
  return fault(call, 'late', 'late', () => [
    onTheWire(call, failedCall(call, ANSWER_LOST)),
    `${callText(call)}; THE CALL IS LATE, the worker sees a timeout`,
  ])
}

function twice(call: Call): Move[] {
  if (call.letter.steps.length > 0) return []
  // An operation that says itself when it refuses may refuse the one and not the other: the call is still to be answered.
  if (typeof call.operation === 'object' && 'steps' in call.operation && refusalsOf(call.operation).length > 0)
    return fault(call, 'twice', 'twice', () => [onTheWire(call, call.moment), `${callText(call)}; A COPY OF THE CALL is under way as well`])
  return fault(call, 'twice', 'twice', () => [
    onTheWire(call, moved(call)),
    `${callText(call)} -> ${answerText(call.handled)}; A COPY OF THE CALL is still under way`,
  ])
}

function crashes(call: Call): Move[] {
  const { moment, site } = call
  const next = `worker ${moment.life + 1} resumes`
  const begun = call.letter.steps.length > 0
  const died = crashed(site, begun ? withAttempt(moment, { ...call.begun, calling: call.letter }) : moment)
  if (begun) return fault(call, 'crash', 'crash', () => [died, `WORKER ${moment.life} DIES while it waits for the answer; ${next}`])
  return [
    ...fault(call, 'crash', 'crash', () => [died, `${callText(call)}; WORKER ${moment.life} DIES before the call leaves; ${next}`]),
    ...fault(call, 'crash', 'crash-late', () => [
      onTheWire(call, died),
      `${callText(call)}; WORKER ${moment.life} DIES while the call is under way; ${next}`,
    ]),
    ...fault(call, 'pause', 'pause', () => [
      onTheWire(call, died),
      `${callText(call)}; WORKER ${moment.life} SLEEPS before the call leaves, and loses its lease; ${next}. The call may leave yet; what its worker stores then is refused`,
    ]),
  ]
}

async function refusals(call: Call): Promise<Move[]> {
  const { site, moment, begun, letter, operation } = call
  const reasons = refusalsOf(operation)
  if (begun.kind === 'undo' || letter.steps.length > 0 || reasons.length === 0 || !mayFail(site, moment, 'refusal')) return []
  const moves: Move[] = []
  for (const reason of reasons) {
    const refused: Letter = { ...letter, refusal: reason }
    const handled = await site.handle(refused, moment.books)
    const said: Call = { ...call, letter: refused, handled }
    moves.push(
      ...fault(said, 'refusal', `refused-${reason}`, () => [
        moved(said),
        `${callText(said)}; "${letter.service}" SAYS NO, "${reason}" -> ${answerText(handled)}`,
      ]),
    )
  }
  return moves
}

function refusalsOf(operation: Operation<never>): readonly string[] {
  return typeof operation === 'object' && 'refusals' in operation ? (operation.refusals ?? []) : []
}

function fault({ site, moment, begun }: Call, kind: FaultKind, id: string, make: () => [Moment, string]): Move[] {
  if (!mayFail(site, moment, kind)) return []
  const [to, line] = make()
  return [{ id: `${actionId(begun)}.${id}`, cost: 1, to: { ...to, faults: moment.faults + 1 }, tell: () => line }]
}

function onTheWire({ begun, letter }: Call, moment: Moment): Moment {
  return { ...moment, wire: sorted([...moment.wire, { kind: begun.kind, step: begun.step, letter }]) }
}

function callText({ moment, begun, letter }: Call): string {
  if (letter.steps.length > 0) return `"${letter.service}" goes on with ${letter.operation}`
  return `${actorText(moment, begun)}: calls ${operationText(letter)} under ${letter.key === '' ? 'no key' : letter.key}`
}

function letterOf({ services }: Site, { service, operation, request }: Asked): Letter {
  const name = service.name ?? Object.keys(services).find((one) => services[one]?.operations === service.operations)
  if (name === undefined) {
    const known = Object.keys(services).join(', ')
    throw new ExploreError(
      'ERR_OPERATION_UNKNOWN',
      `a step calls "${operation}" of a service that explore() was not given; it has ${known}`,
    )
  }
  const key = typeof request === 'object' && request !== null && 'key' in request ? request.key : undefined
  const text = toText(request, `the request of ${name}.${operation}`)
  return { service: name, operation, request: text, key: typeof key === 'string' ? key : '', refusal: undefined, steps: [] }
}
