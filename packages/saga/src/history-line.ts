import type { SagaAdvance, SagaHistoryEntry } from './store.ts'

// The history of a saga that lives may be in its own row, so that a step writes one row. What gets long goes to a table.

/** A row of `banyan_saga_history`, without its saga. */
export type HistoryRow = Omit<SagaHistoryEntry, 'code' | 'message'> & {
  readonly revision: number
  readonly code: string | null
  readonly message: string | null
}

/** The same as a saga's row has it. */
type HistoryLine = readonly [
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

/** How many revisions a row keeps the history of: it is written anew with each, all of it. */
const KEPT = 16

/** What a step adds to its saga's row, at the end of what is there. */
export function lineOf({ revision, entry }: SagaAdvance, json: (line: HistoryLine) => string = JSON.stringify): string {
  const { step, action, outcome, attempt, code = null, message = null, status, worker, startedAt, at } = entry
  // A half of a surrogate pair JSON would keep, and a text in a table not.
  const said = message === null ? null : message.toWellFormed()
  return `,${json([revision + 1, step, action, outcome, attempt, code, said, status, worker, startedAt, at])}`
}

/** The lines of a saga's row. */
export function rowsOf(history: string): HistoryRow[] {
  // Written from `lineOf`.
  const lines = JSON.parse(`[${history.slice(1)}]`) as HistoryLine[]
  return lines.map(([revision, step, action, outcome, attempt, code, message, status, worker, startedAt, at]) => {
    return { revision, step, action, outcome, attempt, code, message, status, worker, startedAt, at }
  })
}

/** The history of a saga: what has left its row is older, unless a process of an older version ran it meanwhile. */
export function historyOf(rows: readonly HistoryRow[], inRow: string): SagaHistoryEntry[] {
  return [...rows, ...rowsOf(inRow)].sort((a, b) => a.revision - b.revision).map(entryOf)
}

/** Without what only a row knows. */
export function entryOf({ revision, code, message, ...entry }: Omit<HistoryRow, 'revision'> & { revision?: number }): SagaHistoryEntry {
  return { ...entry, code: code ?? undefined, message: message ?? undefined }
}

/**
 * Whether the saga's row has enough of them with this one. Not by the number of the revision alone: where a saga is parked again and
 * again, who takes it up makes every second one.
 */
export function isEnough({ revision, parked }: SagaAdvance): boolean {
  return (revision + 1) % KEPT === 0 || (parked && revision >= KEPT)
}
