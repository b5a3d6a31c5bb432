import { type ReadTransaction, type StorePort, storePort, type Transaction, type World } from '@banyan/core'

/** Where a service keeps how far it has followed the operations on its entities, and those that came too early. */
export interface VersionFileStore {
  readonly world: World
  /** The version an entity is at, 0 when nothing was ever applied; held until the end of the transaction, also when it is new. */
  open(tx: Transaction, key: VersionKey): Promise<number>
  /** Keeps an operation that came too early; one that is kept already stays, and is given back. Only after `open`. */
  keep(tx: Transaction, key: VersionKey, operation: KeptOperation): Promise<KeptOperation | undefined>
  /** Takes out an operation that was kept. */
  take(tx: Transaction, key: VersionKey, version: number): Promise<KeptOperation | undefined>
  /** Writes down that the entity is at this version now. */
  advance(tx: Transaction, key: VersionKey, version: number): Promise<void>
  /** The operations that wait for one before them, in order. */
  waiting(tx: ReadTransaction, key: VersionKey, limit: number): Promise<KeptOperation[]>
}

export interface VersionKey {
  readonly entity: string
  readonly id: string
}

export interface KeptOperation {
  /** Its place among the operations on the entity, from 1. */
  readonly version: number
  /** JSON. */
  readonly operation: string
  /** When it came, milliseconds since 1970. */
  readonly at: number
}

export const versionFilePort: StorePort<VersionFileStore> = storePort('version-files')
