import { isRefusal, nearest, refuse, type StorePort, type Transaction, type World } from '@banyan/core'
import { type ParticipantRecord, type ParticipantStore, participant, participantPort } from '@banyan/saga/internal'
import { ExploreError } from './explore-errors.ts'
import { misuse, unlessMisused } from './explore-misuse.ts'
import { type Answer, answerOfError, answerOfValue, fromText, keptText, valueOfAnswer } from './explore-run.ts'
import type { AtomicStep, Operation, OperationCall } from './explore-service.ts'
import { watched } from './explore-watch.ts'

/** A call on its way to a service, or in the middle of being answered. Plain data. */
export interface Letter {
  readonly service: string
  readonly operation: string
  /** JSON. */
  readonly request: string | undefined
  readonly key: string
  /** The service says no to it, for this reason of its own. */
  readonly refusal: string | undefined
  /** What its atomic steps gave so far. */
  readonly steps: readonly Answer[]
}

/** What became of a service after one atomic step of an operation. */
export interface Handled {
  /** Everything the service keeps, JSON. */
  readonly book: string
  /** `undefined`: the operation has more steps to go. */
  readonly answer: Answer | undefined
  readonly steps: Letter['steps']
  /** How many effects were made (or, below zero, taken back). */
  readonly effects: number
}

/** A service's state and the keys its guard has seen. */
export interface Book {
  readonly state: unknown
  readonly keys: Record<string, ParticipantRecord>
}

/** Runs one atomic step of an operation. @throws {ExploreError} where it wants what is not simulated */
export function handle(world: World, operation: Operation<never>, letter: Letter, book: string): Promise<Handled> {
  const who = () => `"${letter.operation}" of "${letter.service}"`
  return unlessMisused(() => watched(who, handleLetter(world, operation, letter, book)))
}

async function handleLetter(world: World, operation: Operation<never>, letter: Letter, book: string): Promise<Handled> {
  if (typeof operation === 'object' && 'steps' in operation) return handleStep(operation.steps, letter, book)
  const { state, keys } = JSON.parse(book) as Book
  const effects = effectCounter(letter)
  const request = fromText(letter.request)
  try {
    const value = await answerAtOnce({ world, operation, letter, state, keys, request, effects })
    const answer = answerOfValue(value, `the answer of "${letter.operation}"`)
    return { book: bookOf(state, keys, letter.service), answer, steps: [], effects: effects.count }
  } catch (error) {
    return { book, answer: answerOfError(error), steps: [], effects: 0 }
  }
}

interface AtOnce {
  readonly world: World
  readonly operation: Operation<never>
  readonly letter: Letter
  readonly state: unknown
  readonly keys: Record<string, ParticipantRecord>
  readonly request: unknown
  readonly effects: EffectCounter
}

/** A body as the explorer calls it: its types were checked where the service was declared. */
type LooseBody = (state: unknown, request: unknown, call: OperationCall) => unknown

async function answerAtOnce(at: AtOnce): Promise<unknown> {
  const { operation, letter, state, request, effects } = at
  const no = letter.refusal === undefined ? undefined : refuse(letter.refusal, `${letter.service} says no`)
  if (typeof operation === 'object' && 'guard' in operation) return guarded(at, no)
  if (no) return no
  const body = (typeof operation === 'function' ? operation : 'run' in operation ? operation.run : undefined) as LooseBody | undefined
  return body?.(state, request, effects.call)
}

async function guarded({ world, operation, letter, state, keys, request, effects }: AtOnce, no: unknown): Promise<unknown> {
  if (typeof operation !== 'object' || !('guard' in operation)) return undefined
  const tx = guardTransaction(world, keys)
  const { key } = letter
  if ('undo' in operation) {
    return participant(tx, { kind: 'undo', key, operation: operation.guard }, async () => {
      const answer = await (operation.undo as LooseBody)(state, request, effects.call)
      effects.count -= 1
      return answer
    })
  }
  const fingerprint = operation.fingerprint?.(request as never)
  const options = { kind: 'do' as const, key, operation: operation.guard, ...(fingerprint === undefined ? {} : { fingerprint }) }
  return participant(tx, options, async () => {
    const answer = no ?? (await (operation.do as LooseBody)(state, request, effects.call))
    if (!isRefusal(answer)) effects.count += 1
    return answer
  })
}

/** Runs an operation of several steps again up to its first new step, and sees whether it is the last. */
async function handleStep(body: SteppedBody, letter: Letter, book: string): Promise<Handled> {
  const effects = effectCounter(letter)
  effects.open = false
  const done: Answer[] = [...letter.steps]
  let next = 0
  let after = book
  let more = () => {}
  const unfinished = new Promise<undefined>((resolve) => {
    more = () => resolve(undefined)
  })
  const atomic: AtomicStep<never> = async (step) => {
    const index = next
    next += 1
    const known = letter.steps[index]
    // What an earlier run of this very step gave.
    if (known) return valueOfAnswer(known) as never
    if (index > letter.steps.length) {
      more()
      return new Promise(() => {})
    }
    const { state, keys } = JSON.parse(book) as Book
    try {
      effects.open = true
      const value = step(state as never)
      after = bookOf(state, keys, letter.service)
      done.push({ value: keptText(value, `what a step of "${letter.operation}" gave back`) })
      return value
    } catch (error) {
      effects.count = 0
      done.push(answerOfError(error))
      throw error
    } finally {
      effects.open = false
    }
  }
  // One that is no async function may throw before there is a promise.
  const begun = (async () => body(atomic, fromText(letter.request) as never, effects.call))()
  const ended = begun.then((value) => answerOfValue(value, `the answer of "${letter.operation}"`), answerOfError)
  const answer = await Promise.race([ended, unfinished])
  return { book: after, answer, steps: done, effects: effects.count }
}

type SteppedBody = (atomic: AtomicStep<never>, request: never, call: OperationCall) => Promise<unknown>

interface EffectCounter {
  count: number
  open: boolean
  readonly call: OperationCall
}

function effectCounter({ key, operation, refusal }: Letter): EffectCounter {
  const counter: EffectCounter = {
    count: 0,
    open: true,
    call: { key, refusal, did: () => add(1), undid: () => add(-1) },
  }
  const add = (effects: number) => {
    // Outside an atomic step it would be counted again with each step that follows.
    if (!counter.open) throw misuse('ERR_OPERATION_UNKNOWN', `"${operation}": say did() and undid() inside an atomic step`)
    counter.count += effects
  }
  return counter
}

/** An operation by its name. @throws {ExploreError} `ERR_OPERATION_UNKNOWN`, with the nearest name */
export function operationNamed(operations: Readonly<Record<string, Operation<never>>>, service: string, name: string): Operation<never> {
  const found = operations[name]
  if (found) return found
  const near = nearest(name, Object.keys(operations))
  const hint = near ? `; did you mean "${near}"?` : ''
  throw new ExploreError('ERR_OPERATION_UNKNOWN', `the simulated service "${service}" has no operation "${name}"${hint}`)
}

/** Everything a service keeps, as JSON. */
export function bookOf(state: unknown, keys: Book['keys'], service: string): string {
  return keptText({ state, keys }, `the state of "${service}"`) ?? '{}'
}

/** The real guard over keys in memory. */
function guardTransaction(world: World, keys: Record<string, ParticipantRecord>): Transaction {
  const store: ParticipantStore = {
    world,
    async begin(_tx, record) {
      const before = keys[record.key]
      if (!before) keys[record.key] = record
      return before
    },
    async finish(_tx, key, change) {
      const before = keys[key]
      if (before) keys[key] = { ...before, ...change }
    },
    find: async (_tx, key) => keys[key],
    // Time stands still: nothing grows old.
    forget: async () => 0,
  }
  return {
    dialect: 'sqlite',
    sql: () => Promise.reject(new ExploreError('ERR_OUTSIDE_SIMULATION', 'a simulated service has no SQL')),
    beforeCommit: () => {},
    afterCommit: () => {},
    store<T>(port: StorePort<T>): T {
      if (port.name !== participantPort.name) throw new ExploreError('ERR_OUTSIDE_SIMULATION', `a simulated service has no "${port.name}"`)
      // The one port it has is that of participants.
      return store as T
    },
  }
}
