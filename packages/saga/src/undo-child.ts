import type { Database, Transaction, World } from '@banyan/core'
import { type Attempt, type AttemptEnd, attemptRemote, inOneTransaction } from './attempt.ts'
import { stepChannel } from './channels.ts'
import type { SagaStep } from './definition.ts'
import { tellLocalWorkers } from './local-workers.ts'
import { standingOf, stateOf } from './standing.ts'
import { type SagaRecord, type SagaStatus, sagaArchivePort, sagaSignalsPort, sagaStorePort, sagaWorkersPort } from './store.ts'
import { after } from './transition.ts'

export interface UndoChildAttempt {
  readonly world: World
  readonly database: Database
  readonly attempt: Attempt
  /** Stores that the end of the child is waited for, in the transaction that holds its channel. */
  readonly advance: (tx: Transaction, end: AttemptEnd, channel: string) => Promise<void>
}

type ChildStep = Extract<SagaStep, { kind: 'child' }>

/**
 * Takes a child saga back: one on its way is cancelled, and its end awaited for as long as that takes; then what `undo` says is done, if
 * it came to its end. Never rejects.
 */
export async function undoChild({ world, database, attempt, advance }: UndoChildAttempt): Promise<AttemptEnd> {
  const { step, call } = attempt
  if (step.kind !== 'child') return DONE
  const asked = await inOneTransaction(world, database, async (tx) => {
    const child = await childOf(tx, step, call.key)
    const before = endOf(child)
    if (!child || before) return before ?? DONE
    // Its row first and then the channel, in the order of its own worker, so that the two do not wait for each other.
    if ((await cancel(tx, world, step, child, call.id)) === 'compensated') return DONE
    const channel = stepChannel(call.key)
    // Holds the channel: the end of the child is there now, or comes when this saga waits for it.
    await tx.store(sagaSignalsPort).take(tx, channel, call.id)
    const now = endOf(await tx.store(sagaArchivePort).find(tx, child.id))
    if (!now) await advance(tx, AWAITED, channel)
    return now ?? AWAITED
  })
  return asked === COMPLETED ? attemptRemote(world, attempt) : asked
}

/** `undefined`: it is on its way. None was never started, and will not be, as this saga does not go forward any more. */
function endOf(child: SagaRecord | undefined): AttemptEnd | undefined {
  if (!child || child.status === 'compensated') return DONE
  return child.status === 'completed' ? COMPLETED : undefined
}

async function childOf(tx: Transaction, { saga }: ChildStep, key: string): Promise<SagaRecord | undefined> {
  const archive = tx.store(sagaArchivePort)
  const [listed] = await archive.list(tx, { name: saga.name, key }, 1)
  return listed && (await archive.find(tx, listed.id))
}

/**
 * By the steps it has: they may be those of another version. Past its pivot, or stuck there, it goes on as it is. Gives its status then,
 * which is the last one where there was nothing to undo.
 */
async function cancel(tx: Transaction, world: World, { saga }: ChildStep, child: SagaRecord, parent: string): Promise<SagaStatus> {
  const shape = (await tx.store(sagaWorkersPort).shape(tx, child)) ?? saga
  const state = stateOf(child)
  const why = { code: 'ERR_SAGA_CANCELLED', message: `the saga that started it, "${parent}", is being undone` }
  const next = after(shape, state, { kind: 'cancel', why }, world.now()).state
  if (next === state || next.status === 'stuck') return child.status
  const decision = { saga: child.id, action: 'cancel', step: child.step ?? '', by: `saga ${parent}`, why: why.message } as const
  // As with a cancellation by a person: see decide.ts.
  const keepOwner = child.owner !== undefined && state.status !== 'stuck'
  const change = { id: child.id, revision: child.revision, keepOwner, ...standingOf(next) }
  await tx.store(sagaArchivePort).decide(tx, change, { ...decision, detail: undefined, at: world.now() })
  tx.afterCommit(() => tellLocalWorkers(tx.store(sagaStorePort), child.id))
  return change.status
}

const DONE: AttemptEnd = { event: { kind: 'done' }, result: undefined }
const COMPLETED: AttemptEnd = { event: { kind: 'done' }, result: undefined }
const AWAITED: AttemptEnd = { event: { kind: 'waits', until: undefined }, result: undefined }
