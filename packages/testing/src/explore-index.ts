// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// Exploring a saga needs no test library, so it has a door of its own: @banyan/testing/explore

export type { Explorable, Exploration } from './explore.ts'
// Go through every schedule
export { explorable, explore } from './explore.ts'
export type { ExploredDatabase, Published, RealContent, RowsOf, SimulatedContent } from './explore-database.ts'
// The database of the saga's own service
export { localState, realDatabase, simulatedDatabase } from './explore-database.ts'
export type { ExploreErrorCode } from './explore-errors.ts'
// Errors
export { ExploreError } from './explore-errors.ts'
export type { FaultKind } from './explore-fault.ts'
export { FAULT_KINDS } from './explore-fault.ts'
export type { Counterexample, Figures } from './explore-report.ts'
export type { ExploredWorld, Invariant, Invariants } from './explore-rules.ts'
export type { AtomicStep, ClientOf, Operation, OperationCall, Operations, SimulatedService } from './explore-service.ts'
// Those who take part
export { service } from './explore-service.ts'
export type { ClientsOf, ExploreOptions } from './explore-setup.ts'
