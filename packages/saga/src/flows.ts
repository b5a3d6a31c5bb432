import type { Database, Transaction } from '@banyan/core'
import type { Decided } from './decide.ts'
import { SagaError } from './errors.ts'
import { type FlowFlag, type FlowFlagKind, type FlowState, openFlags, type SeenEvent } from './flow-state.ts'
import { type FlowDecision, type FlowFilter, type FlowKey, type FlowRecord, flowArchivePort, flowStorePort } from './flow-store.ts'
import { acknowledged } from './flow-transition.ts'
import { checkName, checkWhole } from './options.ts'

/** A flow in one line. */
export interface FlowSummary extends FlowKey {
  readonly version: number
  readonly status: FlowState['status']
  /** The event furthest on its way; `undefined` for one that is not followed. */
  readonly standsAt: string | undefined
  /** The flags that wait for somebody. */
  readonly open: readonly FlowFlag[]
  /** When it is looked at again, milliseconds since 1970. */
  readonly wakeAt: number | undefined
  readonly createdAt: number
  readonly updatedAt: number
}

/** Everything about a flow. */
export interface FlowDetails extends FlowSummary {
  /** In the order they were published, by their publishers' clocks. */
  readonly events: readonly SeenEvent[]
  /** Events that were seen and are not among them. */
  readonly more: number
  /** All flags, also those that were cleared or acknowledged. */
  readonly flags: readonly FlowFlag[]
  readonly decisions: readonly FlowDecision[]
}

export interface ListFlowsOptions extends FlowFilter {
  /** 1 to 10,000. Default 50. */
  readonly limit?: number
}

/** What people do with watched flows. */
export interface Flows {
  /** The latest changed first. */
  list(options?: ListFlowsOptions): Promise<FlowSummary[]>
  /** @throws {SagaError} `ERR_FLOW_UNKNOWN` */
  show(key: FlowKey): Promise<FlowDetails>
  /**
   * Says that somebody has looked at the open flags of a flow, or at those of one kind: they are open no more. Kept for good.
   *
   * @throws {SagaError} `ERR_FLOW_UNKNOWN`, `ERR_FLOW_STATE` when no flag is open
   */
  acknowledge(key: FlowKey, decided: Decided & { flag?: FlowFlagKind }): Promise<FlowSummary>
  /** The latest decisions, about one flow or all, 1 to 10,000 of them. Default: 100. */
  decisions(key?: FlowKey, limit?: number): Promise<FlowDecision[]>
}

/** The flows that a service watches, for people. Needs no declaration. */
export function flows(database: Database): Flows {
  const archive = database.store(flowArchivePort)
  return {
    async list({ limit = 50, ...filter } = {}) {
      checkWhole('list flows', 'limit', limit, 1, 10_000)
      return (await database.read((tx) => archive.list(tx, filter, limit))).map(summaryOf)
    },
    show: (key) =>
      database.read(async (tx) => {
        const record = known(await archive.find(tx, key), key)
        return detailsOf(record, await archive.decisions(tx, key, 1_000))
      }),
    acknowledge: (key, decided) => database.transaction((tx) => acknowledgeIn(tx, key, decided)),
    async decisions(key, limit = 100) {
      checkWhole('list decisions', 'limit', limit, 1, 10_000)
      return database.read((tx) => archive.decisions(tx, key, limit))
    },
  }
}

async function acknowledgeIn(tx: Transaction, key: FlowKey, { by, reason, flag }: Decided & { flag?: FlowFlagKind }): Promise<FlowSummary> {
  const action = `acknowledge flow "${key.flow}" of "${key.correlationId}"`
  checkName(action, '"by"', by)
  checkName(action, '"reason"', reason)
  const store = tx.store(flowStorePort)
  const record = known(await store.load(tx, key), key)
  const at = store.world.now()
  const { state, flags } = acknowledged(record.state, flag, { by, why: reason, at })
  if (flags.length === 0)
    throw new SagaError('ERR_FLOW_STATE', `cannot ${action}: it has no open flag${flag ? ` "${flag}"` : ''}`, { status: 409 })
  const changed = { ...record, state, updatedAt: at }
  await store.save(tx, changed)
  for (const { kind, event } of flags) await tx.store(flowArchivePort).note(tx, { ...key, flag: kind, event, by, why: reason, at })
  return summaryOf(changed)
}

function known(record: FlowRecord | undefined, { flow, correlationId }: FlowKey): FlowRecord {
  if (record) return record
  throw new SagaError('ERR_FLOW_UNKNOWN', `there is no flow "${flow}" of "${correlationId}" in this database`, { status: 404 })
}

function summaryOf({ flow, correlationId, version, state, createdAt, updatedAt }: FlowRecord): FlowSummary {
  const { standsAt, wakeAt } = state.status === 'ignored' ? { standsAt: undefined, wakeAt: undefined } : state
  return { flow, correlationId, version, status: state.status, standsAt, open: openFlags(state), wakeAt, createdAt, updatedAt }
}

function detailsOf(record: FlowRecord, decisions: FlowDecision[]): FlowDetails {
  const { events, more, flags } = record.state.status === 'ignored' ? { events: [], more: 0, flags: [] } : record.state
  return { ...summaryOf(record), events: events.toSorted((one, other) => one.time - other.time), more, flags, decisions }
}
