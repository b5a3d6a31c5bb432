import type { Database, World } from '@banyan/core'
import { type AnySaga, type Attempt, type AttemptEnd, attemptLocal, attemptRemote, readResults } from '@banyan/saga/internal'
import type { ExploredDatabase } from './explore-database.ts'
import type { Engine } from './explore-engine.ts'
import { ExploreError } from './explore-errors.ts'
import type { Begun, Moment } from './explore-moment.ts'
import { type Asked, inRun, type Run, Unanswered } from './explore-run.ts'

/** How far a body came: to a call without an answer, or to its end. `local`: what its own database has then, JSON. */
export type BodyEnd = { readonly asked: Asked } | { readonly end: AttemptEnd; readonly local: string | undefined }

export interface BodyRunner {
  /** Runs the body of a step, up to its first call without an answer. */
  run(moment: Moment, begun: Begun): Promise<BodyEnd>
}

export interface BodyOptions {
  readonly saga: AnySaga
  readonly input: unknown
  readonly database: ExploredDatabase
  readonly engine: Engine
  readonly world: World
}

/** What the one saga of an exploration is called. */
export const SAGA_ID = 'saga-1'

/** Runs the bodies of a saga's steps by the engine's own code, in real transactions of the database. */
export function bodyRunner(options: BodyOptions): BodyRunner {
  const { database, engine, world } = options
  let loaded: string | undefined

  async function load(wanted: string): Promise<void> {
    if (loaded === wanted) return
    await database.load(JSON.parse(wanted))
    loaded = wanted
  }

  async function runLocal(moment: Moment, attempt: Attempt, run: Run, asked: () => Asked | undefined): Promise<BodyEnd> {
    await load(moment.local)
    // Unknown until it is read: a body may have changed anything.
    loaded = undefined
    const advance = async () => {
      // A body that swallowed the end of its run must not commit.
      if (asked()) throw new Unanswered('the call has no answer yet')
    }
    const end = await inRun(run, () => attemptLocal(world, asDatabase(database), attempt, advance))
    const local = JSON.stringify(await database.save())
    loaded = local
    const call = asked()
    return call ? { asked: call } : { end, local }
  }

  return {
    async run(moment, begun) {
      const attempt = attemptOf(options, moment, begun)
      let call: Asked | undefined
      let wake = (_: BodyEnd) => {}
      const blocked = new Promise<BodyEnd>((resolve) => {
        wake = resolve
      })
      const local = engine.step(begun.step).kind === 'local'
      const asked = (one: Asked) => {
        call ??= one
        if (!local) wake({ asked: one })
      }
      const run: Run = { answers: begun.answers, next: 0, asked, throws: local }
      if (local)
        return watched(
          begun,
          runLocal(moment, attempt, run, () => call),
        )
      const ended = inRun(run, () => attemptRemote(world, attempt)).then((end): BodyEnd => ({ end, local: undefined }))
      return watched(begun, Promise.race([ended, blocked]))
    },
  }
}

function attemptOf({ saga, input, engine }: BodyOptions, moment: Moment, { kind, step }: Begun): Attempt {
  const { state, results } = moment
  return {
    step: engine.step(step),
    action: kind,
    sagaKey: saga.name,
    call: { input: structuredClone(input), id: SAGA_ID, key: `${SAGA_ID}:${step}`, attempt: engine.failures(state, { kind, step }) + 1 },
    results: readResults(results),
    cause: state.status === 'undoing' ? state.cause : undefined,
    signal: new AbortController().signal,
  }
}

/** Local attempts ask their database for nothing but a transaction. */
function asDatabase({ transaction }: ExploredDatabase): Database {
  return { transaction } as Database
}

/** Everything simulated is ready at once: what is not settled after a while waits for the real world. */
async function watched(begun: Begun, end: Promise<BodyEnd>): Promise<BodyEnd> {
  let timer: NodeJS.Timeout | undefined
  let settled = false
  const ended = end.finally(() => {
    settled = true
  })
  // Most are settled by now, without a timer.
  for (let turn = 0; turn < 64 && !settled; turn += 1) await undefined
  if (settled) return ended
  const outside = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `step "${begun.step}" waits for something that is not simulated to ${begun.kind}: a timer, a socket or a file`
      reject(new ExploreError('ERR_OUTSIDE_SIMULATION', message))
    }, 5_000)
  })
  try {
    return await Promise.race([ended, outside])
  } finally {
    clearTimeout(timer)
  }
}
