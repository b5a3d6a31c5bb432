import type { StoreBinding } from './postgres-database.ts'

/** The stores that `database.store(port)` and `tx.store(port)` give: `bind(outboxPort, postgresOutbox)`. */
export const stores: readonly StoreBinding[] = []
