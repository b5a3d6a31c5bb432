import type { Bus } from '@banyan/core'
import type { BusAnswers } from './bus-answers.ts'
import type { RetrySchedule } from './parking.ts'
import type { TurnOptions } from './turn.ts'

/** What it takes to move one partition of an outbox to the bus. */
export interface PartitionOptions extends TurnOptions {
  readonly bus: Bus
  /** What it has said to all of the relay's partitions. */
  readonly answers: BusAnswers
  readonly service: string
  /** The group in which events the bus does not take are parked. */
  readonly group: string
  readonly batchSize: number
  readonly minPollMs: number
  readonly maxPollMs: number
  readonly retry: RetrySchedule
}
