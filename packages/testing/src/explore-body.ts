import { type Database, messageOf, type Transaction, type World } from '@banyan/core'
import {
  type AnySaga,
  type Attempt,
  type AttemptEnd,
  attemptLocal,
  attemptRemote,
  decideStep,
  decides,
  itemOf,
  readResults,
  resultsFor,
} from '@banyan/saga/internal'
import type { ExploredDatabase } from './explore-database.ts'
import type { Engine } from './explore-engine.ts'
import { memo } from './explore-memo.ts'
import { unlessMisused } from './explore-misuse.ts'
import type { Begun, Moment } from './explore-moment.ts'
import { type Asked, inRun, keptText, type Run, Unanswered } from './explore-run.ts'
import { watched } from './explore-watch.ts'

/** How far a body came: to a call without an answer, or to its end. `local`: what its own database has then, JSON. */
export type BodyEnd = { readonly asked: Asked } | { readonly end: AttemptEnd; readonly local: string | undefined }

export interface BodyRunner {
  /** Runs the body of a step, up to its first call without an answer. @throws {ExploreError} where it wants what is not simulated */
  run(moment: Moment, begun: Begun): Promise<BodyEnd>
  /** Runs something else in the saga's own database; gives what is there then, JSON, or why it did not work. */
  beside(moment: Moment, name: string, body: (tx: Transaction) => unknown): Promise<{ local: string } | { error: string }>
}

export interface BodyOptions {
  readonly saga: AnySaga
  /** As a worker reads it. */
  readonly input: unknown
  /** The saga's key. */
  readonly key: string
  readonly database: ExploredDatabase
  readonly engine: Engine
  readonly world: World
}

/** What the one saga of an exploration is called. */
export const SAGA_ID = 'saga-1'

/** Runs the bodies of a saga's steps by the engine's own code, in real transactions of the database. */
export function bodyRunner(options: BodyOptions): BodyRunner {
  const { database, engine, world } = options
  const remember = memo<BodyEnd>()
  const rememberBeside = memo<{ local: string } | { error: string }>()
  let loaded: string | undefined

  const saved = async () => localText(await database.save())

  async function load(wanted: string): Promise<void> {
    if (loaded === wanted) return
    await database.load(JSON.parse(wanted))
    loaded = wanted
  }

  function runLocal(moment: Moment, attempt: Attempt, { answers }: Begun): Promise<BodyEnd> {
    let call: Asked | undefined
    const asked = (one: Asked) => {
      call ??= one
    }
    const advance = async () => {
      // A body that swallowed the end of its run must not commit.
      if (call) throw new Unanswered('the call has no answer yet')
    }
    const body = async (): Promise<BodyEnd> => {
      await load(moment.local)
      // Unknown until it is read: a body may have changed anything.
      loaded = undefined
      const run: Run = { answers, next: 0, asked, throws: true }
      const end = await inRun(run, () => attemptLocal(world, asDatabase(database), attempt, advance))
      loaded = await saved()
      return call ? { asked: call } : { end, local: loaded }
    }
    return watched(who(attempt), body())
  }

  function runRemote(attempt: Attempt, { answers }: Begun): Promise<BodyEnd> {
    let wake = (_: BodyEnd) => {}
    const blocked = new Promise<BodyEnd>((resolve) => {
      wake = resolve
    })
    const run: Run = { answers, next: 0, asked: (asked) => wake({ asked }), throws: false }
    const ended = inRun(run, () => attemptRemote(world, attempt)).then((end): BodyEnd => ({ end, local: undefined }))
    return watched(who(attempt), Promise.race([ended, blocked]))
  }

  async function runBeside(moment: Moment, body: (tx: Transaction) => unknown): Promise<{ local: string } | { error: string }> {
    await load(moment.local)
    loaded = undefined
    try {
      await database.transaction(async (tx) => body(tx))
      loaded = await saved()
      return { local: loaded }
    } catch (error) {
      return { error: messageOf(error) }
    }
  }

  return {
    beside: (moment, name, body) =>
      rememberBeside(`${name} ${moment.local}`, () =>
        unlessMisused(() => watched(() => `"${name}" of "meanwhile"`, runBeside(moment, body))),
      ),
    run(moment, begun) {
      const attempt = attemptOf(options, moment, begun)
      if (begun.kind === 'do' && decides(attempt.step, engine.isUnspread(begun.step))) return Promise.resolve(decided(world, attempt))
      const local = engine.step(begun.step).kind === 'local'
      const { call, cause, action } = attempt
      const key = JSON.stringify([begun.step, action, begun.answers, call.attempt, cause, moment.results, local ? moment.local : ''])
      return remember(key, () => unlessMisused(() => (local ? runLocal(moment, attempt, begun) : runRemote(attempt, begun))))
    },
  }
}

function attemptOf({ saga, input, key, engine }: BodyOptions, moment: Moment, { kind, step }: Begun): Attempt {
  const { state } = moment
  const results = readResults(moment.results)
  const item = itemOf(results, step)
  return {
    step: engine.step(step),
    action: kind,
    sagaKey: key,
    call: { input: structuredClone(input), id: SAGA_ID, key: `${SAGA_ID}:${step}`, attempt: engine.failures(state, { kind, step }) + 1 },
    results: resultsFor(saga.steps, results),
    cause: state.status === 'undoing' ? state.cause : undefined,
    signal: new AbortController().signal,
    ...(item && { item }),
  }
}

function who({ step, action }: Attempt): () => string {
  return () => `the ${action} of step "${step.name}"`
}

/** A sleep is over at once: the schedule says what comes in between. */
function decided(world: World, attempt: Attempt): BodyEnd {
  const until = world.now()
  const end = decideStep(world, attempt, {
    at: attempt.step.name,
    failures: 0,
    doubt: false,
    ...(attempt.step.kind === 'sleep' && { until }),
  })
  return { end, local: undefined }
}

/** What a database has, as text. */
export function localText(content: unknown): string {
  return keptText(content, "what is in the saga's own database") ?? 'null'
}

/** Local attempts ask their database for nothing but a transaction. */
function asDatabase({ transaction }: ExploredDatabase): Database {
  return { transaction } as Database
}
