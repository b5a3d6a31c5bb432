// Say what is to be done, and the way back

export type { FinalSagaGroup, SagaBuilder, SagaGroup, SagaPastPivot } from './builder.ts'
export type { SagaCall, SagaContext, UndoCall, UndoCause, UndoContext } from './context.ts'
export { saga } from './define.ts'
export type { AnySaga, MigratedSaga, Saga, SagaCodec, SagaOptions, StoredSaga } from './definition.ts'
export { renameSteps } from './migrate.ts'
export type {
  Approval,
  ApproveOptions,
  ChildOptions,
  EachStep,
  FinalChildOptions,
  FinalEachStep,
  FinalLocalStep,
  FinalRemoteStep,
  LocalStep,
  Nothing,
  PivotStep,
  RemoteStep,
  ResultOf,
  StepRetry,
  WaitOptions,
} from './steps.ts'
export { nothing } from './steps.ts'

// Start it, run it

export type { SignalOptions } from './signal.ts'
export { signal, signalSagas } from './signal.ts'
export type { StartedSaga } from './start.ts'
export { startSaga } from './start.ts'
export type { SagaWorkerOptions } from './worker.ts'
export { runSagas } from './worker.ts'

// See and repair what runs

export type { Decided } from './decide.ts'
export { diagramSaga } from './diagram.ts'
export type { MapParts } from './diagram-map.ts'
export { diagramMap } from './diagram-map.ts'
export type { Explanation, StepExplanation } from './explain.ts'
export { explainSaga } from './explain.ts'
export type { Answered, ListOptions, Sagas, SagasOptions } from './recover.ts'
export { sagas } from './recover.ts'
export type { Compensated, Completed, Failure, Lane, Pause, Running, SagaState, Stuck, Undoing } from './state.ts'
export type { SagaDecision, SagaFilter, SagaHistoryEntry, SagaStatus } from './store.ts'
export type { SagaDetails, SagaSummary } from './summary.ts'

// Take part in the sagas of others

export type { DoOptions, ParticipantState, UndoOptions } from './participant.ts'
export { participant, participantState } from './participant.ts'

// Keep sagas from misleading each other

export type { Choice, Isolation, Touches } from './isolation.ts'
export { byValue, rereadValue } from './isolation.ts'
export type { LockOptions, SemanticLock, SemanticLockOptions } from './semantic-lock.ts'
export { lockOf, releaseLock, semanticLock, semanticLocks } from './semantic-lock.ts'
export type { VersionFileOptions, VersionFileResult } from './version-file.ts'
export { versionFile, waitingOperations } from './version-file.ts'

// Watch what services do that only speak by events

export type { Flow, FlowEnd, FlowFork, FlowOptions, FlowStart, FlowStep, FlowSteps, Repeated, StartOptions } from './flow.ts'
export { flow, repeated } from './flow.ts'
export { diagramFlow } from './flow-diagram.ts'
export type { FlowPlace, FlowPlaceEvent, FlowShape } from './flow-shape.ts'
export type { FlowFlag, FlowFlagKind, FlowState, SeenEvent } from './flow-state.ts'
export type { FlowDecision, FlowFilter, FlowKey } from './flow-store.ts'
export type { FlowWatcherOptions } from './flow-watcher.ts'
export { watchFlows } from './flow-watcher.ts'
export type { FlowDetails, FlowSummary, Flows, ListFlowsOptions } from './flows.ts'
export { flows } from './flows.ts'

// Errors

export type { SagaErrorCode } from './errors.ts'
export { SagaError } from './errors.ts'
