import { type ReadTransaction, type StorePort, storePort, type Transaction, type World } from '@banyan/core'
import type { SagaShape } from './shape.ts'
import type { SagaState } from './state.ts'

/** Where running sagas live. All methods belong to the transaction they are given. */
export interface SagaStore {
  readonly world: World
  /** Adds a saga, unless there is one of this name and key. Gives the id of the one that is there then. */
  insert(tx: Transaction, saga: NewSagaRecord): Promise<string>
  /**
   * Moves a saga on and writes its history: one fenced statement each. False, and no change, when another worker has taken it
   * over or it has moved since `revision`.
   */
  advance(tx: Transaction, step: SagaAdvance): Promise<boolean>
  /**
   * Makes a worker known and gives its epoch, higher than any before under this id: what an earlier holder of the id owned is
   * up for {@link SagaStore.claim}. `undefined` when the id is in use and `force` is not set.
   */
  enlist(tx: Transaction, worker: { id: string; expiresAt: number; now: number; force: boolean }): Promise<number | undefined>
  /** Extends the lease; false when the worker has been declared dead or its id taken. `expiresAt` 0 gives the lease and all sagas back. */
  renew(tx: Transaction, worker: SagaOwner, expiresAt: number): Promise<boolean>
  /** Leaves the shape of a definition for the {@link SagaArchive}, in the place of an older one. */
  define(tx: Transaction, shape: SagaShape): Promise<void>
  /** Whether {@link SagaStore.claim} would find anything. */
  claimable(tx: ReadTransaction, definitions: readonly DefinitionName[], now: number): Promise<boolean>
  /** Declares workers dead whose lease is over, then takes sagas over that nobody owns, or whose owner lost its epoch; oldest first. */
  claim(tx: Transaction, owner: SagaOwner, definitions: readonly DefinitionName[], now: number, limit: number): Promise<SagaRecord[]>
}

/** What people see and decide. A `ReadTransaction` may be a writing one. */
export interface SagaArchive {
  readonly world: World
  /** Newest first, before the id `before`. */
  list(tx: ReadTransaction, filter: SagaFilter, limit: number): Promise<SagaRecord[]>
  /** Locks it, in a writing transaction. */
  find(tx: ReadTransaction, id: string): Promise<SagaRecord | undefined>
  history(tx: ReadTransaction, id: string): Promise<SagaHistoryEntry[]>
  /** Writes a decision about a stuck saga and hands it to the next worker that looks. False when it is stuck no more. */
  decide(tx: Transaction, id: string, state: SagaState, decision: SagaDecision): Promise<boolean>
  decisions(tx: ReadTransaction, id: string | undefined, limit: number): Promise<SagaDecision[]>
  /** The shape of a definition, as the last worker left it. */
  shape(tx: ReadTransaction, definition: DefinitionName): Promise<SagaShape | undefined>
  /** How many unfinished sagas there are, by name, version and status. Finished ones are not counted: they may be millions. */
  counts(tx: ReadTransaction, status?: 'stuck'): Promise<SagaCount[]>
}

/** The key of a definition in a store. */
export interface DefinitionName {
  readonly name: string
  readonly version: number
}

/** A worker in one of its lives. */
export interface SagaOwner {
  readonly worker: string
  readonly epoch: number
}

export interface NewSagaRecord extends DefinitionName {
  readonly id: string
  /** Unique among the sagas of the name. */
  readonly key: string
  readonly state: SagaState
  /** JSON texts are the room's business: the store keeps them as they are. */
  readonly input: string
  readonly owner: SagaOwner | undefined
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
  readonly createdAt: number
}

export interface SagaRecord extends NewSagaRecord {
  /** JSON: results by step name. */
  readonly results: string
  /** JSON; of a completed saga. */
  readonly output: string | undefined
  /** Grows with each change. */
  readonly revision: number
  /** How many workers have taken it, one after another. */
  readonly claims: number
  readonly updatedAt: number
}

export interface SagaAdvance {
  readonly id: string
  readonly owner: SagaOwner
  /** The revision it was read at. */
  readonly revision: number
  readonly state: SagaState
  /** Left out: as they are. */
  readonly results?: string
  readonly output?: string
  readonly entry: Omit<SagaHistoryEntry, 'saga'>
}

/** One attempt, as it ended. */
export interface SagaHistoryEntry {
  readonly saga: string
  readonly step: string
  readonly action: 'do' | 'undo' | 'park'
  readonly outcome: 'done' | 'refused' | 'failed'
  /** From 1. */
  readonly attempt: number
  readonly code: string | undefined
  readonly message: string | undefined
  /** The status after it. */
  readonly status: SagaState['status']
  readonly worker: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly at: number
}

/** What a person decided about a stuck saga. */
export interface SagaDecision {
  readonly saga: string
  readonly action: 'retry' | 'skip' | 'undo'
  readonly step: string
  readonly by: string
  readonly why: string
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface SagaFilter {
  readonly status?: SagaState['status']
  /** Left out: all. False: only unfinished ones, stuck ones too. */
  readonly finished?: boolean
  readonly name?: string
  readonly version?: number
  readonly key?: string
  /** Only ids before this one: for the next page. */
  readonly before?: string
}

export interface SagaCount extends DefinitionName {
  readonly status: SagaState['status']
  readonly count: number
  /** The oldest id among them. */
  readonly oldest: string
}

export const sagaStorePort: StorePort<SagaStore> = storePort('sagas')
export const sagaArchivePort: StorePort<SagaArchive> = storePort('saga-archive')
