// For sister packages: the stores that adapters bring and contract suites check

export { type FlowRow, flowColumnsOf, flowRecordOf } from './flow-row.ts'
export type { FlowFlag, FlowState, SeenEvent } from './flow-state.ts'
export { openFlags } from './flow-state.ts'
export type { FlowArchive, FlowDecision, FlowFilter, FlowKey, FlowRecord, FlowStore } from './flow-store.ts'
export { flowArchivePort, flowStorePort } from './flow-store.ts'
export { entryOf, type HistoryRow, historyOf, isEnough, lineOf, rowsOf } from './history-line.ts'
export type { ParticipantRecord, ParticipantStore } from './participant-store.ts'
export { participantPort } from './participant-store.ts'
export type { SemanticLockRecord, SemanticLockStore } from './semantic-lock-store.ts'
export { semanticLockPort } from './semantic-lock-store.ts'
export type { SagaShape, StepShape } from './shape.ts'
export { standingOf, stateOf, statusOf } from './standing.ts'
export type { SagaState } from './state.ts'
export { pausesOf, stepOfState } from './state.ts'
export type {
  DefinitionName,
  NewSagaRecord,
  NewWorker,
  SagaAdvance,
  SagaArchive,
  SagaBatch,
  SagaChange,
  SagaCount,
  SagaDecision,
  SagaFilter,
  SagaHistoryEntry,
  SagaOwner,
  SagaRecord,
  SagaSignal,
  SagaSignals,
  SagaStanding,
  SagaStatus,
  SagaStore,
  SagaWorkers,
} from './store.ts'
export { LEASE_SLACK_MS, sagaArchivePort, sagaSignalsPort, sagaStorePort, sagaWorkersPort } from './store.ts'

// For the explorer and the crash harness: the engine without its worker, and the guard

export type { Attempt, AttemptEnd } from './attempt.ts'
export { attemptLocal, attemptRemote, contextOf, readResults, withResult } from './attempt.ts'
export { eventChannel } from './channels.ts'
export { decideStep, decides } from './decide-step.ts'
export type { AnySaga, Saga, SagaStep } from './definition.ts'
export { isUnspread } from './forward.ts'
export { participant } from './participant.ts'
export { itemOf, itemsName, resultsFor } from './results.ts'
export { baseName, itemIndex, stepNamed } from './shape.ts'
export type { Action, SagaEvent, Turn } from './transition.ts'
export { actionsOf, after, canTurn, initialState } from './transition.ts'
export type { KeptOperation, VersionFileStore, VersionKey } from './version-file-store.ts'
export { versionFilePort } from './version-file-store.ts'
