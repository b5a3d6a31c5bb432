import { type DeliveryPlace, type ReadTransaction, type StorePort, storePort, type Transaction, type World } from '@banyan/core'
import type { Lease } from './lease.ts'
import type { FailureReason, Parking } from './parking.ts'

/** One event on its way into the outbox. */
export interface OutboxRecord {
  /** The envelope's id. */
  readonly id: string
  readonly type: string
  /** The envelope's subject; events of one key are relayed in the order they committed. */
  readonly key: string
  /** The event as a text, its key included: see `outbox-body.ts`. */
  readonly body: string
  /** When it was published, milliseconds since 1970. */
  readonly time: number
}

/** The writing side of the outbox: what `publish` needs. */
export interface Outbox {
  /** The name of the service the database belongs to: the `source` of its events. */
  readonly source: string
  readonly world: World
  /** Writes the records in their order, as the last statements before COMMIT. */
  append(tx: Transaction, records: readonly OutboxRecord[]): Promise<void>
  /**
   * Calls `wake` after each commit of this process that appended, with the partitions it appended to; without, where they are not known,
   * as of what another process did. Gives back how to stop.
   */
  onAppend(wake: (partitions?: ReadonlySet<number>) => void): () => void
}

export const outboxPort: StorePort<Outbox> = storePort<Outbox>('outbox')

/** An outbox record with its place. Positions grow in commit order within a key, and are never used again. */
export interface OutboxEntry {
  readonly position: number
  readonly body: string
}

/** How far a partition is, and who may move it. */
export interface PartitionState {
  readonly lease: Lease
  /** Everything up to this position is sent. */
  readonly done: number
}

/** How far a partition has come under a lease. */
export interface OutboxProgress {
  readonly epoch: number
  readonly done: number
  readonly expiresAt: number
  /** As of when the records were read. */
  readonly setbacks: number | undefined
}

export interface OutboxStats {
  /** Records not sent yet. */
  readonly backlog: number
  /** When the oldest of them was published, milliseconds since 1970. */
  readonly oldestAt: number | undefined
}

/** The reading side of the outbox: what `relay` needs. A key always falls into the same partition. */
export interface OutboxLog {
  readonly partitions: number
  /**
   * How long a relay that has moved a few records lets the next ones gather, milliseconds. 0 where reading costs next to nothing; where
   * it takes round trips to a server, a short rest makes the batches larger, and all of them come sooner.
   */
  readonly gatherMs: number
  /** The state of a partition, locked until the end of the transaction. */
  load(tx: Transaction, partition: number): Promise<PartitionState>
  /** Only after `load` in the same transaction. */
  saveLease(tx: Transaction, partition: number, lease: Lease): Promise<void>
  /**
   * Marks everything up to `done` as sent and keeps the lease until `expiresAt`, when the lease still has this epoch and the outbox has
   * surely not gone back since `setbacks`; says whether that was so. `done` never goes back, and no position is marked that was never drawn.
   */
  advance(tx: Transaction, partition: number, progress: OutboxProgress): Promise<boolean>
  /**
   * Up to `limit` records, fewer where they are large, after the position `after`, or after what is marked as sent, in order, and only such that no record
   * can still appear before them. A read of its own, outside any transaction: see the appender fence of the PostgreSQL outbox.
   */
  read(partition: number, after: number | undefined, limit: number): Promise<OutboxEntry[]>
  /**
   * How often the outbox may have gone back while this process knew it, as after a failover that lacks the last commits: when it grows, positions that
   * were read before are worth nothing. Left out where it cannot.
   */
  setbacks?(): number
  /** Drops a bounded number of records that are sent, and makes room for those to come. Safe beside everything else. */
  tidy(): Promise<void>
  stats(tx: ReadTransaction): Promise<OutboxStats>
}

export const outboxLogPort: StorePort<OutboxLog> = storePort<OutboxLog>('outbox-log')

/**
 * A message of a consumer group. `lane` is what it keeps its order in: the key, or the id where order does not matter. Long keys and ids are
 * shortened before they come here: see `short.ts`.
 */
export interface Admission {
  readonly group: string
  readonly id: string
  readonly lane: string
  /** Where it stands in the bus, where that has such places. */
  readonly place?: DeliveryPlace | undefined
  /** Whether it may be older than the inbox's memory for ids: then the marks decide as well. */
  readonly old?: boolean
}

/** `new`: go on. `duplicate`: handled, or parked, before. `parked`: others of its lane are parked; it goes behind them. */
export type Admitted = 'new' | 'duplicate' | 'parked'

/** The ids of the messages that each group has taken, and up to where it has settled each partition of the bus. */
export interface Inbox {
  /**
   * Takes a message: records its id with the transaction, unless it is there. Holds the lane until the end of the
   * transaction against every other `admit`, and `KeyQueue.claim` of the lane.
   */
  admit(tx: Transaction, message: Admission, now: number): Promise<Admitted>
  /** The same question without taking it. */
  peek(tx: ReadTransaction, message: Admission): Promise<Admitted>
  /** Notes that everything up to each place is settled. A mark never goes back. */
  mark(tx: Transaction, group: string, places: readonly DeliveryPlace[]): Promise<void>
  /** Forgets up to `limit` ids taken before `before` that a mark covers or that have no place; says how many. */
  clean(tx: Transaction, group: string, before: number, limit: number): Promise<number>
}

export const inboxPort: StorePort<Inbox> = storePort<Inbox>('inbox')

/** A message that stands in the key queue. */
export interface ParkedMessage {
  /** Its place in the queue, and its number for people. */
  readonly position: number
  readonly group: string
  readonly lane: string
  /** Which message it is, once a group: see `message-id.ts`; for what could not be decoded, a digest of it. */
  readonly messageId: string
  readonly type: string | undefined
  readonly key: string | undefined
  /** What came: the envelope as JSON text, or what could not be read. */
  readonly raw: string
  readonly traceId: string | undefined
  readonly parking: Parking
  /** Grows with each change of the row. */
  readonly revision: number
  /** When it came into the queue, milliseconds since 1970. */
  readonly parkedAt: number
}

export type NewParkedMessage = Omit<ParkedMessage, 'position' | 'revision'>

/** Messages that failed, and the later ones of the same key behind them. */
export interface KeyQueue {
  /**
   * Puts a message at the end of its lane. It stays as it is when the lane is empty, else it waits. Once only: a message
   * of the same group and id that is there already stays.
   */
  push(tx: Transaction, message: NewParkedMessage): Promise<void>
  /** Whether any message of a group is in the queue. */
  holds(tx: ReadTransaction, group: string): Promise<boolean>
  /** Which of `lanes` (keys, shortened where they are long) have messages in the queue. */
  parkedLanes(tx: ReadTransaction, group: string, lanes: readonly string[]): Promise<ReadonlySet<string>>
  /** The `due` messages of a group, soonest first, also those of later. */
  upcoming(tx: ReadTransaction, group: string, limit: number): Promise<ParkedMessage[]>
  /** Holds the message's lane until the end of the transaction; false when the message has changed or gone since it was read. */
  claim(tx: Transaction, message: ParkedMessage): Promise<boolean>
  /** Writes a new state, and a new `raw` where given. */
  save(tx: Transaction, position: number, parking: Parking, raw?: string): Promise<void>
  /** Takes a message out and lets the next of its lane be due now; gives that one back. */
  remove(tx: Transaction, message: ParkedMessage, now: number): Promise<ParkedMessage | undefined>
  /** Calls `wake` after each commit of this process that made a message due; gives back how to stop. */
  onDue(wake: () => void): () => void
}

export const keyQueuePort: StorePort<KeyQueue> = storePort<KeyQueue>('key-queue')

/** Which dead letters; all that are given must match. */
export interface DeadLetterFilter {
  id?: number | undefined
  group?: string | undefined
  type?: string | undefined
  key?: string | undefined
  reason?: FailureReason | undefined
}

/** One decision of a person about a dead letter. */
export interface AuditRecord {
  readonly deadLetter: number
  readonly action: 'redrive' | 'discard' | 'edit'
  readonly by: string
  readonly why: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly group: string
  /** The envelope's id; where it could not be read, a digest of it. */
  readonly messageId: string
  /** The message before the decision. */
  readonly raw: string
}

/** How the key queue of one group stands. */
export interface ParkedStats {
  readonly group: string
  /** Keys with messages in the queue. */
  readonly parkedKeys: number
  readonly deadLetters: number
  /** Messages to be retried or waiting behind others. */
  readonly waiting: number
  /** When the oldest dead letter came into the queue, milliseconds since 1970. */
  readonly oldestDeadAt: number | undefined
}

/** The people's side of the key queue. */
export interface DeadLetterStore {
  /** Dead messages with a position above `after`, in order. */
  find(tx: ReadTransaction, filter: DeadLetterFilter, after: number, limit: number): Promise<ParkedMessage[]>
  /** How many messages wait behind the first one of a lane. */
  followers(tx: ReadTransaction, group: string, lane: string): Promise<number>
  audit(tx: Transaction, record: AuditRecord): Promise<void>
  /** The decisions about one dead letter, or the latest about any, newest first. */
  history(tx: ReadTransaction, deadLetter: number | undefined, limit: number): Promise<AuditRecord[]>
  stats(tx: ReadTransaction): Promise<ParkedStats[]>
}

export const deadLettersPort: StorePort<DeadLetterStore> = storePort<DeadLetterStore>('dead-letters')
