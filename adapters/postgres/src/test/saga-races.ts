import { silentLogger } from '@banyan/core'
import type { NewSagaRecord, SagaAdvance, SagaStanding } from '@banyan/saga/internal'
import { expect, vi } from 'vitest'
import { postgres } from '../index.ts'
import type { PostgresDatabase } from '../postgres-database.ts'

// What tests share in which transactions of sagas meet. Not published.

/** Who runs their sagas. */
export const A = { worker: 'a', epoch: 1 }

export function standing(status: SagaStanding['status'], more: Partial<SagaStanding> = {}): SagaStanding {
  return { status, parked: false, step: 'a', wakeAt: undefined, channel: undefined, state: '"here"', ...more }
}

export function newSaga(id: string, key: string): NewSagaRecord {
  const none = { report: undefined, traceparent: undefined, tracestate: undefined }
  return { id, name: 'trip', version: 1, key, input: '1', owner: A, createdAt: 1, ...standing('running'), ...none }
}

export function moveTo(id: string, revision: number, to: SagaStanding, message?: string): SagaAdvance {
  const entry = { step: 'a', action: 'do', outcome: 'done', attempt: 1, code: undefined, worker: 'a', startedAt: 1, at: 1 } as const
  return { id, owner: A, revision, ...to, entry: { ...entry, message, status: to.status } }
}

/** A place in a transaction's body where it stands still, at its first run, until it is let go. */
export function halt() {
  const reached = Promise.withResolvers<void>()
  const letGo = Promise.withResolvers<void>()
  const here = () => {
    reached.resolve()
    return letGo.promise
  }
  return { reached: reached.promise, letGo: letGo.resolve, here }
}

/** Whether some transaction of the database waits for another one. */
export async function someoneWaits(database: PostgresDatabase): Promise<void> {
  await vi.waitFor(async () => {
    const text = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    expect(await database.run(text)).not.toEqual([])
  })
}

/**
 * As in a large database: where a small one is read as a whole, every write beside it is a conflict. Before it is opened. `isolation`: of
 * transactions that do not say theirs.
 */
export async function actLarge(url: string, isolation = 'read committed'): Promise<void> {
  const before = postgres(url, { log: silentLogger })
  const alter = `alter database "${new URL(url).pathname.slice(1)}"`
  await before.run(`${alter} set enable_seqscan = off`)
  await before.run(`${alter} set default_transaction_isolation = '${isolation}'`)
  await before.close()
}
