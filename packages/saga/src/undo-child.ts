import type { Database, World } from '@banyan/core'
import { type Attempt, type AttemptEnd, attemptRemote, failed, inOneTransaction } from './attempt.ts'
import { isResting } from './decide.ts'
import { SagaError } from './errors.ts'
import { wakeLocalWorkers } from './local-workers.ts'
import { standingOf, stateOf } from './standing.ts'
import { sagaArchivePort, sagaStorePort } from './store.ts'
import { after } from './transition.ts'

/**
 * Takes a child saga back: one on its way is cancelled and its end awaited, by trying again; then what `undo` says is done, if it came
 * to its end. Never rejects.
 */
export async function undoChild(world: World, database: Database, attempt: Attempt): Promise<AttemptEnd> {
  const asked = await inOneTransaction(world, database, async (tx) => {
    const { step, call } = attempt
    if (step.kind !== 'child') return DONE
    const archive = tx.store(sagaArchivePort)
    const [listed] = await archive.list(tx, { name: step.saga.name, key: call.key }, 1)
    const child = listed && (await archive.find(tx, listed.id))
    // None: it was never started, and will not be, as this saga does not go forward any more.
    if (!child || child.status === 'compensated') return DONE
    if (child.status === 'completed') return COMPLETED
    const why = { code: 'ERR_SAGA_CANCELLED', message: `the saga that started it, "${call.id}", is being undone` }
    const state = stateOf(child)
    const next = after(step.saga, state, { kind: 'cancel', why }, world.now()).state
    if (next !== state) {
      const decision = { saga: child.id, action: 'cancel', step: child.step ?? '', by: `saga ${call.id}`, why: why.message } as const
      const change = { id: child.id, revision: child.revision, keepOwner: !isResting(state, world.now()), ...standingOf(next) }
      await archive.decide(tx, change, { ...decision, detail: undefined, at: world.now() })
    }
    tx.afterCommit(() => wakeLocalWorkers(tx.store(sagaStorePort)))
    const running = new SagaError('ERR_CHILD_RUNNING', `child saga "${child.id}" is ${child.status}: its end is awaited`)
    return failed(world, running, false)
  })
  return asked === COMPLETED ? attemptRemote(world, attempt) : asked
}

const DONE: AttemptEnd = { event: { kind: 'done' }, result: undefined }
const COMPLETED: AttemptEnd = { event: { kind: 'done' }, result: undefined }
