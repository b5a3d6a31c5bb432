import { type FlowState, openFlags } from './flow-state.ts'
import type { FlowRecord } from './flow-store.ts'

/** A row of `banyan_flows`, as far as its record is made of it. Times in milliseconds since 1970. */
export interface FlowRow {
  flow: string
  correlation_id: string
  version: number
  /** JSON of the {@link FlowState}. */
  state: string
  created_at: number
  updated_at: number
}

/** The record of a row. */
export function flowRecordOf({ flow, correlation_id: correlationId, version, state, created_at, updated_at }: FlowRow): FlowRecord {
  // Written from a state by `save`.
  return { flow, correlationId, version, state: JSON.parse(state), createdAt: created_at, updatedAt: updated_at }
}

/** What a flow is found by: the kinds of its open flags, a comma between, and when its watcher looks at it next. */
export function flowColumnsOf(state: FlowState): { readonly flags: string; readonly wakeAt: number | null } {
  return {
    flags: [...new Set(openFlags(state).map(({ kind }) => kind))].join(','),
    wakeAt: state.status === 'ignored' ? null : (state.wakeAt ?? null),
  }
}
