import { type StorePort, storePort, type Transaction, type World } from '@banyan/core'

/** Where a receiver keeps which keys it has handled. */
export interface ParticipantStore {
  readonly world: World
  /** Adds the key if it is new, else locks it; gives what was there before. */
  begin(tx: Transaction, record: ParticipantRecord): Promise<ParticipantRecord | undefined>
  /** Writes down how it ended. */
  finish(tx: Transaction, key: string, change: Pick<ParticipantRecord, 'state' | 'result' | 'at'>): Promise<void>
  /** What is known of a key. */
  find(tx: Transaction, key: string): Promise<ParticipantRecord | undefined>
  /** Forgets at most `limit` keys of an operation that were last used before `before`, the oldest first. Gives how many. */
  forget(tx: Transaction, operation: string, before: number, limit: number): Promise<number>
}

export interface ParticipantRecord {
  readonly key: string
  readonly operation: string
  /** `done`, `refused`: how `do` ended. `undone`: then undone. `cancelled`: undone before any `do` came. */
  readonly state: 'done' | 'refused' | 'undone' | 'cancelled'
  /** Of the content of `do`; `undefined`: none was given. */
  readonly fingerprint: string | undefined
  /** JSON: what `do`, or after it `undo`, gave back. `undefined`: nothing. */
  readonly result: string | undefined
  /** Milliseconds since 1970. */
  readonly at: number
}

export const participantPort: StorePort<ParticipantStore> = storePort('participants')
