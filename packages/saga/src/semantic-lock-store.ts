import { type ReadTransaction, type StorePort, storePort, type Transaction, type World } from '@banyan/core'

/** Where a service keeps which of its entities sagas have locked. */
export interface SemanticLockStore {
  readonly world: World
  /** Adds the lock if the entity is free; gives the one that is there otherwise, held until the end of the transaction. */
  take(tx: Transaction, lock: SemanticLockRecord): Promise<SemanticLockRecord | undefined>
  find(tx: ReadTransaction, entity: string, id: string): Promise<SemanticLockRecord | undefined>
  /** Takes a lock away if this holder has it, and gives it back. */
  drop(tx: Transaction, entity: string, id: string, holder: string): Promise<SemanticLockRecord | undefined>
  /** The locks of one holder, or of an entity's kind, the oldest first. */
  list(tx: ReadTransaction, filter: { entity?: string; holder?: string }, limit: number): Promise<SemanticLockRecord[]>
}

export interface SemanticLockRecord {
  /** What kind of thing it is: `order`. */
  readonly entity: string
  readonly id: string
  /** Who holds it: a saga's id. */
  readonly holder: string
  /** JSON: what the holder wants to have back. `undefined`: nothing. */
  readonly stash: string | undefined
  /** Milliseconds since 1970. */
  readonly at: number
}

export const semanticLockPort: StorePort<SemanticLockStore> = storePort('semantic-locks')
