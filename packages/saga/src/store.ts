import { type ReadTransaction, type StorePort, storePort, type Transaction, type World } from '@banyan/core'
import type { SagaShape } from './shape.ts'

/** Where running sagas live. Methods with a `tx` belong to that transaction. */
export interface SagaStore {
  readonly world: World
  /**
   * How many {@link SagaStore.write}s are worth having under way at once, from 1. More than 1 where the database is another process, which
   * can work on one while it waits for the disk with another; 1 where a write holds up this process until it is durable.
   */
  readonly writesAtOnce: number
  /**
   * Refuses what begins a transaction of its own, where one of this database is open: whoever meant to write in that one would write beside it.
   *
   * @throws `ERR_NESTED_TRANSACTION`
   */
  assertOutside(action: string): void
  /** Adds a saga, unless there is one of this name and key, here or in the archive. Gives the id of the one that is there then. */
  insert(tx: Transaction, saga: NewSagaRecord): Promise<string>
  /**
   * Moves a saga on and writes its history. False, and no change, when another worker has taken it over or it has moved since
   * `revision`. A parked one is given back: it has no owner then, and its `claims` begin anew.
   */
  advance(tx: Transaction, step: SagaAdvance): Promise<boolean>
  /**
   * Writes starts and advances of many sagas as one durable unit of its own, each for itself, in few statements: a start gives the
   * id that is there then (as {@link SagaStore.insert}), an advance whether it moved (as {@link SagaStore.advance}). Several of one
   * saga, or of one name and key, never come in one batch. Must not be called inside a transaction.
   */
  write(batch: SagaBatch): Promise<{ ids: string[]; moved: boolean[] }>
  /** Whether {@link SagaStore.claim} would find anything. */
  claimable(tx: ReadTransaction, definitions: readonly DefinitionName[], now: number): Promise<boolean>
  /**
   * Declares workers dead whose lease is over, then takes over, oldest ids first as far as that is cheap: live sagas that nobody owns, or whose owner lost its
   * epoch, and parked ones whose `wakeAt` has come. What is taken has neither `wakeAt` nor `channel`, and is not parked any more.
   *
   * A lease that ends more than {@link LEASE_SLACK_MS} after it could, was written before the clock was set back: it is over, too.
   */
  claim(tx: Transaction, owner: SagaOwner, definitions: readonly DefinitionName[], now: number, limit: number): Promise<SagaRecord[]>
  /**
   * Moves at most `limit` sagas that ended before `before`, with their history, to the archive, where {@link SagaArchive} finds them
   * and {@link SagaStore.insert} knows their keys. Gives how many.
   */
  retire(tx: Transaction, before: number, limit: number): Promise<number>
}

/** Who may run sagas, and what they run. */
export interface SagaWorkers {
  /**
   * Makes a worker known and gives its epoch, higher than any before under this id: what an earlier holder of the id owned is
   * up for {@link SagaStore.claim}. `undefined` when the id is in use and `force` is not set. A lease that ends more than
   * {@link LEASE_SLACK_MS} after it could is not in use.
   */
  enlist(tx: Transaction, worker: NewWorker): Promise<number | undefined>
  /** Extends the lease; false when the worker has been declared dead or its id taken. `expiresAt` 0 gives the lease and all sagas back. */
  renew(tx: Transaction, worker: SagaOwner, expiresAt: number): Promise<boolean>
  /** Leaves the shape of a definition for people, in the place of an older one. */
  define(tx: Transaction, shape: SagaShape): Promise<void>
  /** The shape of a definition, as the last worker left it. */
  shape(tx: ReadTransaction, definition: DefinitionName): Promise<SagaShape | undefined>
}

/** What sagas wait for: signals, each on a channel. */
export interface SagaSignals {
  readonly world: World
  /**
   * Keeps a signal, once per id, and lets the parked saga whose `channel` it is go on: it is live, without `wakeAt` and `channel`.
   * False, and no change, when the id has been sent before. Holds the channel until the end of the transaction.
   */
  send(tx: Transaction, signal: SagaSignal): Promise<boolean>
  /**
   * Takes the oldest signal of a channel that nobody has taken. Holds the channel until the end of the transaction: when there is
   * none and the saga is parked on the channel in the same transaction, a signal that comes later finds it.
   */
  take(tx: Transaction, channel: string, saga: string): Promise<SagaSignal | undefined>
  /** Forgets at most `limit` signals sent before `before`, taken or not. Gives how many. */
  forget(tx: Transaction, before: number, limit: number): Promise<number>
}

/** What people see and decide: of sagas that run and of archived ones. A `ReadTransaction` may be a writing one. */
export interface SagaArchive {
  readonly world: World
  /** Newest first, before the id `before`. */
  list(tx: ReadTransaction, filter: SagaFilter, limit: number): Promise<SagaRecord[]>
  /** Locks it, in a writing transaction. */
  find(tx: ReadTransaction, id: string): Promise<SagaRecord | undefined>
  /** In the order it was written. */
  history(tx: ReadTransaction, id: string): Promise<SagaHistoryEntry[]>
  /**
   * Writes a decision and what became of the saga by it. Nobody owns it then and its `claims` begin anew, unless `keepOwner` is set.
   * False, and no change, when the saga has moved since `revision`.
   */
  decide(tx: Transaction, change: SagaChange, decision: SagaDecision): Promise<boolean>
  /** Newest first. */
  decisions(tx: ReadTransaction, id: string | undefined, limit: number): Promise<SagaDecision[]>
  /**
   * How many unfinished sagas there are, by name, version and status, in this order. Not counted, as they may be millions: finished
   * ones, and parked ones whose time has not come.
   */
  counts(tx: ReadTransaction, now: number, status?: 'stuck'): Promise<SagaCount[]>
}

/** How much later than it could a lease may end before its end is taken for a trace of a clock set back, milliseconds. */
export const LEASE_SLACK_MS = 60_000

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

export interface NewWorker {
  readonly id: string
  readonly now: number
  readonly leaseMs: number
  /** Takes the id also when it is in use. */
  readonly force: boolean
}

/** Finished: `completed`, `compensated`. Live, so that a worker should have it: `running`, `undoing`, `waiting` unless it is parked. */
export type SagaStatus = 'running' | 'undoing' | 'waiting' | 'stuck' | 'completed' | 'compensated'

/** Where a saga stands. */
export interface SagaStanding {
  readonly status: SagaStatus
  /** Waiting, and in nobody's memory, until `wakeAt` or a signal on `channel`. */
  readonly parked: boolean
  /** The step it is about, for lists. */
  readonly step: string | undefined
  /** When a parked saga goes on by itself, milliseconds since 1970. `undefined`: it does not. */
  readonly wakeAt: number | undefined
  /** What a parked saga waits for. */
  readonly channel: string | undefined
  /** All of it, as JSON: the room's business. */
  readonly state: string
}

export interface NewSagaRecord extends DefinitionName, SagaStanding {
  readonly id: string
  /** Unique among the sagas of the name. */
  readonly key: string
  /** Texts are the room's business: the store keeps them as they are. */
  readonly input: string
  readonly owner: SagaOwner | undefined
  /** The channel that is told the end: of the saga that started this one. */
  readonly report: string | undefined
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
  readonly createdAt: number
}

export interface SagaRecord extends NewSagaRecord {
  /** Results by step name. */
  readonly results: string
  /** Of a completed saga. */
  readonly output: string | undefined
  /** Grows with each change. */
  readonly revision: number
  /** How many workers have taken it, one after another, since it was started, parked or decided about. */
  readonly claims: number
  readonly updatedAt: number
}

export interface SagaAdvance extends SagaStanding {
  readonly id: string
  readonly owner: SagaOwner
  /** The revision it was read at. */
  readonly revision: number
  /** Left out, these four: as they are. */
  readonly results?: string
  readonly output?: string
  readonly input?: string
  readonly version?: number
  readonly entry: SagaHistoryEntry
}

export interface SagaBatch {
  readonly starts: readonly NewSagaRecord[]
  readonly advances: readonly SagaAdvance[]
}

export interface SagaChange extends SagaStanding {
  readonly id: string
  /** The revision it was read at. */
  readonly revision: number
  /** It is its worker's still, who learns of the change when it writes. */
  readonly keepOwner: boolean
  /** Left out: as they are. */
  readonly results?: string
  readonly input?: string
}

/** One attempt, as it ended. */
export interface SagaHistoryEntry {
  readonly step: string
  /** `park`: it cannot go on; `migrate`: it goes on as another version. */
  readonly action: 'do' | 'undo' | 'park' | 'migrate'
  readonly outcome: 'done' | 'refused' | 'failed' | 'waits'
  /** From 1. */
  readonly attempt: number
  readonly code: string | undefined
  readonly message: string | undefined
  /** The status after it. */
  readonly status: SagaStatus
  readonly worker: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly at: number
}

/** What a person decided about a saga. */
export interface SagaDecision {
  readonly saga: string
  readonly action: 'retry' | 'skip' | 'override' | 'edit' | 'undo' | 'cancel' | 'approve' | 'reject'
  readonly step: string
  readonly by: string
  readonly why: string
  /** What was given, or was there before, as the room stores it. */
  readonly detail: string | undefined
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface SagaSignal {
  /** The same id is one signal. At most 500 characters, as the channel. */
  readonly id: string
  readonly channel: string
  readonly body: string
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface SagaFilter {
  readonly status?: SagaStatus
  /** Left out: all. False: only unfinished ones, stuck ones too. */
  readonly finished?: boolean
  readonly name?: string
  readonly version?: number
  readonly key?: string
  /** Only ids before this one: for the next page. */
  readonly before?: string
}

export interface SagaCount extends DefinitionName {
  readonly status: SagaStatus
  readonly count: number
  /** The oldest id among them. */
  readonly oldest: string
}

export const sagaStorePort: StorePort<SagaStore> = storePort('sagas')
export const sagaWorkersPort: StorePort<SagaWorkers> = storePort('saga-workers')
export const sagaSignalsPort: StorePort<SagaSignals> = storePort('saga-signals')
export const sagaArchivePort: StorePort<SagaArchive> = storePort('saga-archive')
