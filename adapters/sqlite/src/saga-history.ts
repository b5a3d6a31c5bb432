import { rowsOf } from '@banyan/saga/internal'
import type { Statements } from './connection.ts'

/** Moves the history out of a saga's row. */
export function unload({ sql, change }: Statements, saga: string): void {
  const [row] = sql<{ history: string }>`select history from banyan_sagas where id = ${saga}`
  for (const { revision, step, action, outcome, attempt, code, message, status, worker, startedAt, at } of rowsOf(row?.history ?? '')) {
    change`
      insert into banyan_saga_history (saga, revision, step, action, outcome, attempt, code, message, status, worker, started_at, at)
      values (${saga}, ${revision}, ${step}, ${action}, ${outcome}, ${attempt}, ${code}, ${message}, ${status}, ${worker}, ${startedAt}, ${at})`
  }
  change`update banyan_sagas set history = '' where id = ${saga}`
}
