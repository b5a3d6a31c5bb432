import { flowArchivePort, flowStorePort } from '@banyan/saga/internal'
import { postgresFlowArchive, postgresFlows } from './flow-store.ts'
import { bind, type StoreBinding } from './postgres-database.ts'

/** The stores that `database.store(port)` and `tx.store(port)` give: `bind(outboxPort, postgresOutbox)`. */
export const stores: readonly StoreBinding[] = [bind(flowStorePort, postgresFlows), bind(flowArchivePort, postgresFlowArchive)]
