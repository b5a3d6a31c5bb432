// For sister packages: the stores that adapters bring and contract suites check

export type { ParticipantRecord, ParticipantStore } from './participant-store.ts'
export { participantPort } from './participant-store.ts'
export type { SagaShape, StepShape } from './shape.ts'
export type { SagaState } from './state.ts'
export { stepOfState } from './state.ts'
export type {
  DefinitionName,
  NewSagaRecord,
  SagaAdvance,
  SagaArchive,
  SagaCount,
  SagaDecision,
  SagaFilter,
  SagaHistoryEntry,
  SagaOwner,
  SagaRecord,
  SagaStore,
} from './store.ts'
export { sagaArchivePort, sagaStorePort } from './store.ts'
