import { type SagaState, stepOfState } from './state.ts'
import type { SagaRecord, SagaStanding } from './store.ts'

/** How a state is stored. */
export function standingOf(state: SagaState): SagaStanding {
  return {
    status: state.status,
    parked: false,
    step: stepOfState(state),
    wakeAt: undefined,
    channel: undefined,
    state: JSON.stringify(state),
  }
}

/** The state as it was stored. */
export function stateOf({ state }: Pick<SagaRecord, 'state'>): SagaState {
  // Written by `standingOf`.
  return JSON.parse(state) as SagaState
}
