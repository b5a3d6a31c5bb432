import { isEnough, lineOf, type NewSagaRecord, type SagaAdvance, type SagaStanding } from '@banyan/saga/internal'
import { storable } from './storable.ts'
import type { PostgresValue } from './values.ts'

/** Whether a worker should have it. */
export function isLive({ status, parked }: SagaStanding): boolean {
  return !parked && (status === 'running' || status === 'undoing' || status === 'waiting')
}

/** What PostgreSQL takes neither in a text nor as JSON's escape of one: NUL, and halves of surrogate pairs. As JSON writes them. */
const UNSTORABLE = /\\u(?:0000|d[89a-f])/

/**
 * Rows as one JSON parameter: it costs this process less than an array for each column, and the server the same. Characters that
 * PostgreSQL cannot store become U+FFFD: one saga's message must not keep those that are written with it from their commit.
 */
export function jsonRows<T>(rows: readonly T[], rowOf: (row: T, n: number) => object): string {
  return storableJson(rows.map(rowOf))
}

function storableJson(value: unknown): string {
  const json = JSON.stringify(value)
  return UNSTORABLE.test(json) ? JSON.stringify(value, wellFormed) : json
}

function wellFormed(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? storable(value.toWellFormed()) : value
}

/** A start in a batch: for `banyan_saga_start`. */
export function startRow(saga: NewSagaRecord, n: number): object {
  const { id, name, version, key, status, step, state, input, owner, wakeAt, channel, report, traceparent, tracestate, createdAt } = saga
  return {
    ...{ n, id, name, version, key, status, live: isLive(saga), step, state, input, owner: owner?.worker, epoch: owner?.epoch ?? 0 },
    ...{ wake_at: wakeAt, channel, report, traceparent, tracestate, at: createdAt },
  }
}

/** One by itself: for `banyan_saga_start_alone`. */
export function startValues(saga: NewSagaRecord): PostgresValue[] {
  const { id, name, version, key, status, step, state, input, owner, wakeAt, channel, report, traceparent, tracestate, createdAt } = saga
  return [
    ...values(id, name, version, key, status, isLive(saga), step, state, input, owner?.worker, owner?.epoch ?? 0),
    ...values(wakeAt, channel, report, traceparent, tracestate, createdAt),
  ]
}

/** An advance in a batch: for `banyan_saga_advance`. */
export function advanceRow(move: SagaAdvance, n: number): object {
  const { id, owner, revision, status, parked, step, state, results, output, input, version, wakeAt, channel, entry } = move
  return {
    ...{
      n,
      id,
      owner: owner.worker,
      epoch: owner.epoch,
      revision,
      status,
      live: isLive(move),
      parked,
      step,
      state,
      results,
      output,
      input,
    },
    ...{ version, wake_at: wakeAt, channel, at: entry.at, line: lineOf(move, storableJson), enough: isEnough(move) || undefined },
  }
}

/** One by itself: for `banyan_saga_advance_alone`. */
export function advanceValues(move: SagaAdvance): PostgresValue[] {
  const { id, owner, revision, status, parked, step, state, results, output, input, version, wakeAt, channel, entry } = move
  return [
    ...values(id, owner.worker, owner.epoch, revision, status, isLive(move), parked, step, state, results, output, input, version),
    ...values(wakeAt, channel, entry.at, lineOf(move, storableJson), isEnough(move)),
  ]
}

function values(...cells: readonly (string | number | boolean | undefined)[]): PostgresValue[] {
  return cells.map((cell) => (typeof cell === 'string' ? storable(cell) : (cell ?? null)))
}
