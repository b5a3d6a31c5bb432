import { type Component, type Database, systemWorld } from '@banyan/core'
import { runSagas } from '@banyan/saga'
import { type SagaAdvance, sagaArchivePort, sagaStorePort } from '@banyan/saga/internal'
import { crashPoint } from '@banyan/testing/crash'
import { orderSaga } from './order.ts'

/** A worker with a lease so short that a pause of the trial ends it. */
export function orderWorker(folder: string, workerId: string): Component {
  return runSagas([orderSaga(folder)], { workerId, leaseMs: 800, pollMs: 50, drainMs: 1_000, concurrency: 16 })
}

/**
 * Puts a point before and one after each write of the workers' journal, and, where that is wanted, takes the fence away: a worker
 * then writes whoever owns the saga. The store stays the object that it is, as workers of one process find each other by it.
 */
export function watchAdvances(database: Database, withoutFence: boolean): void {
  const store = database.store(sagaStorePort)
  const { write, advance } = store
  const unfenced = withoutFence ? unfence : (step: SagaAdvance) => Promise.resolve(step)

  /** Whatever has happened to the saga meanwhile: the step claims to have seen it. */
  async function unfence(step: SagaAdvance): Promise<SagaAdvance> {
    const there = await database.read((tx) => database.store(sagaArchivePort).find(tx, step.id))
    return there?.owner ? { ...step, owner: there.owner, revision: there.revision } : step
  }

  Object.assign(store, {
    async write(batch) {
      crashPoint('before-advance')
      const written = await write({ ...batch, advances: await Promise.all(batch.advances.map(unfenced)) })
      crashPoint('after-advance')
      return written
    },
    async advance(tx, step) {
      if (!withoutFence) return advance(tx, step)
      const there = await database.store(sagaArchivePort).find(tx, step.id)
      return advance(tx, there?.owner ? { ...step, owner: there.owner, revision: there.revision } : step)
    },
  } satisfies Pick<typeof store, 'write' | 'advance'>)
}

/** A worker's name in a trial: rivals share one, or have names of their own, by the seed. */
export function rivalName(seed: number): string {
  return seed % 2 === 0 ? 'orders' : 'rival'
}

export const orchestratorName = 'orders'

/** The time now and then between two orders, milliseconds. */
export function untilNextOrder(): number {
  return systemWorld.random() * 80
}
