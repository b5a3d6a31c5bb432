import { pausesOf, type SagaState, stepOfState } from './state.ts'
import type { SagaRecord, SagaStanding, SagaStatus } from './store.ts'

export interface Parking {
  readonly now: number
  /** Who waits longer than this leaves the worker's memory, milliseconds. */
  readonly parkAfterMs: number
  /** When the saga's time is over, milliseconds since 1970. */
  readonly deadline: number | undefined
  /** The channel it waits on, if it waits for a signal: then it is parked however short the time. */
  readonly channel: string | undefined
}

/** How a state is stored. Without `parking` it stays with its worker. */
export function standingOf(state: SagaState, parking?: Parking): SagaStanding {
  const pauses = pausesOf(state)
  const status = statusOf(state)
  const wakeAt = earliest(pauses.map(({ wakeAt }) => wakeAt))
  const parked = parking !== undefined && status === 'waiting' && mayPark(wakeAt, parking)
  return {
    status,
    parked,
    step: stepOfState(state),
    wakeAt: parked ? earliest([wakeAt, state.status === 'running' ? parking.deadline : undefined]) : undefined,
    channel: parked ? parking.channel : undefined,
    state: JSON.stringify(state),
  }
}

/** The state as it was stored. */
export function stateOf({ state }: Pick<SagaRecord, 'state'>): SagaState {
  // Written by `standingOf`.
  return JSON.parse(state) as SagaState
}

/** In one word for people and stores. */
export function statusOf(state: SagaState): SagaStatus {
  return pausesOf(state).length > 0 ? 'waiting' : state.status
}

function mayPark(wakeAt: number | undefined, { now, parkAfterMs, channel }: Parking): boolean {
  return channel !== undefined || wakeAt === undefined || wakeAt - now > parkAfterMs
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
