import { type ReadTransaction, type StorePort, storePort, type Transaction, type World } from '@banyan/core'
import type { FlowFlagKind, FlowState } from './flow-state.ts'

/** Where a watcher keeps the flows it follows. All methods belong to the transaction they are given. */
export interface FlowStore {
  readonly world: World
  /** A flow as it stands, held until the end of the transaction against every other `load`; also when there is none yet. */
  load(tx: Transaction, key: FlowKey): Promise<FlowRecord | undefined>
  /** Only after `load` in the same transaction. */
  save(tx: Transaction, record: FlowRecord): Promise<void>
  /** Which of these flows' records have a `wakeAt` up to `now`, soonest first. */
  due(tx: ReadTransaction, flows: readonly string[], now: number, limit: number): Promise<FlowKey[]>
  /** Forgets at most `limit` flows that wait for no time, have open flags or none, and have not changed since `before`. Gives how many. */
  forget(tx: Transaction, flow: string, which: { flagged: boolean; before: number }, limit: number): Promise<number>
}

/** What people see and decide. */
export interface FlowArchive {
  /** The latest changed first. */
  list(tx: ReadTransaction, filter: FlowFilter, limit: number): Promise<FlowRecord[]>
  find(tx: ReadTransaction, key: FlowKey): Promise<FlowRecord | undefined>
  /** Keeps a decision for good. */
  note(tx: Transaction, decision: FlowDecision): Promise<void>
  /** Newest first. */
  decisions(tx: ReadTransaction, key: FlowKey | undefined, limit: number): Promise<FlowDecision[]>
}

/** One flow: a declaration's name, and what its events share. */
export interface FlowKey {
  readonly flow: string
  /** The envelopes'. PostgreSQL has U+FFFD for NUL, and of one longer than 500 characters its beginning and its SHA-256. */
  readonly correlationId: string
}

export interface FlowRecord extends FlowKey {
  /** Of the declaration it began under, which judges it where it is known. */
  readonly version: number
  readonly state: FlowState
  /** Milliseconds since 1970. */
  readonly createdAt: number
  readonly updatedAt: number
}

/** Which flows; all that are given must match. */
export interface FlowFilter {
  readonly flow?: string
  readonly status?: FlowState['status']
  /** `true`: with any open flag; a kind: with an open flag of it. */
  readonly flag?: FlowFlagKind | true
}

/** Somebody has looked at a flag. */
export interface FlowDecision extends FlowKey {
  readonly flag: FlowFlagKind
  readonly event: string
  readonly by: string
  readonly why: string
  /** Milliseconds since 1970. */
  readonly at: number
}

export const flowStorePort: StorePort<FlowStore> = storePort('flows')
export const flowArchivePort: StorePort<FlowArchive> = storePort('flow-archive')
