import type { SagaAdvance, SagaHistoryEntry } from '@banyan/saga/internal'
import type { Statements } from './connection.ts'

// The history of a saga that lives is in its own row, so that a step writes one row in one page. What gets long goes to a table.

/** A row of `banyan_saga_history`, without its saga. */
export type HistoryRow = Omit<SagaHistoryEntry, 'code' | 'message'> & { revision: number; code: string | null; message: string | null }

/** How many revisions a row keeps the history of: it is written anew with each, all of it. */
const KEPT = 16

/** An entry as the saga's row has it, for the end of `banyan_sagas.history`. */
export function lineOf({ revision, entry }: SagaAdvance): string {
  const { step, action, outcome, attempt, code = null, message = null, status, worker, startedAt, at } = entry
  const line: Line = [revision + 1, step, action, outcome, attempt, code, message, status, worker, startedAt, at]
  return `,${JSON.stringify(line)}`
}

type Line = [
  revision: number,
  step: string,
  action: HistoryRow['action'],
  outcome: HistoryRow['outcome'],
  attempt: number,
  code: string | null,
  message: string | null,
  status: HistoryRow['status'],
  worker: string,
  startedAt: number,
  at: number,
]

/** The entries of `banyan_sagas.history`. */
export function rowsOf(history: string): HistoryRow[] {
  // Written by `lineOf`.
  const lines = JSON.parse(`[${history.slice(1)}]`) as Line[]
  return lines.map(([revision, step, action, outcome, attempt, code, message, status, worker, startedAt, at]) => {
    return { revision, step, action, outcome, attempt, code, message, status, worker, startedAt, at }
  })
}

/**
 * Whether the saga's row has enough of them with this one. Not by the number of the revision alone: where a saga is parked again and
 * again, who takes it up makes every second one.
 */
export function isEnough({ revision, parked }: SagaAdvance): boolean {
  return (revision + 1) % KEPT === 0 || (parked && revision >= KEPT)
}

/** Moves the history out of the saga's row. */
export function unload({ sql, change }: Statements, saga: string): void {
  const [row] = sql<{ history: string }>`select history from banyan_sagas where id = ${saga}`
  for (const { revision, step, action, outcome, attempt, code, message, status, worker, startedAt, at } of rowsOf(row?.history ?? '')) {
    change`
      insert into banyan_saga_history (saga, revision, step, action, outcome, attempt, code, message, status, worker, started_at, at)
      values (${saga}, ${revision}, ${step}, ${action}, ${outcome}, ${attempt}, ${code}, ${message}, ${status}, ${worker}, ${startedAt}, ${at})`
  }
  change`update banyan_sagas set history = '' where id = ${saga}`
}
