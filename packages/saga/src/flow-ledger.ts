import type { Logger, Transaction } from '@banyan/core'
import type { Flow } from './flow.ts'
import { flowInstruments } from './flow-metrics.ts'
import { placeOf } from './flow-shape.ts'
import type { FlowFlag, FlowState, SeenEvent } from './flow-state.ts'
import { type FlowKey, type FlowRecord, flowStorePort } from './flow-store.ts'
import { after, type FlowHappening } from './flow-transition.ts'

/** Moves stored flows on. */
export interface FlowLedger {
  /** The names of the flows it knows. */
  readonly names: readonly string[]
  /** Notes an event in every flow that speaks of it. */
  note(tx: Transaction, event: Omit<SeenEvent, 'seenAt'>, correlationId: string, data: unknown): Promise<void>
  /** Looks at a flow whose time has come. */
  wake(tx: Transaction, key: FlowKey): Promise<void>
}

export interface FlowLedgerOptions {
  readonly graceMs: number
  readonly log: Logger
  readonly service: string
}

/** Creates a {@link FlowLedger} over some declarations. */
export function flowLedger(flows: readonly Flow[], options: FlowLedgerOptions): FlowLedger {
  const byName = Map.groupBy(flows, ({ name }) => name)

  return {
    names: [...byName.keys()],
    async note(tx, event, correlationId, data) {
      for (const [flow, versions] of byName) {
        const speaking = versions.filter((version) => placeOf(version, event.type))
        if (speaking.length === 0) continue
        const record = await tx.store(flowStorePort).load(tx, { flow, correlationId })
        const definition = record ? definitionOf(versions, record.version) : newestOf(speaking)
        // Only another version than the one this flow began under speaks of it.
        if (!placeOf(definition, event.type)) continue
        const seenAt = tx.store(flowStorePort).world.now()
        const isStart = placeOf(definition, event.type)?.kind === 'start'
        const happening = { kind: 'seen', event: { ...event, seenAt }, follows: !isStart || definition.follows(data) } as const
        await move(tx, definition, record, { flow, correlationId }, happening, options)
      }
    },
    async wake(tx, key) {
      const record = await tx.store(flowStorePort).load(tx, key)
      const versions = byName.get(key.flow)
      if (record && versions) await move(tx, definitionOf(versions, record.version), record, key, { kind: 'woke' }, options)
    },
  }
}

function definitionOf(versions: readonly Flow[], version: number): Flow {
  return versions.find((one) => one.version === version) ?? newestOf(versions)
}

function newestOf(versions: readonly Flow[]): Flow {
  return versions.reduce((best, one) => (one.version > best.version ? one : best))
}

async function move(
  tx: Transaction,
  definition: Flow,
  record: FlowRecord | undefined,
  key: FlowKey,
  happening: FlowHappening,
  { graceMs, log, service }: FlowLedgerOptions,
): Promise<void> {
  const store = tx.store(flowStorePort)
  const now = store.world.now()
  const { state, raised } = after(definition, record?.state, happening, { now, graceMs })
  if (state === record?.state) return
  // It stays of the version it began under: an instance that has that one may be beside one that has another.
  await store.save(tx, {
    ...key,
    version: record?.version ?? definition.version,
    state,
    createdAt: record?.createdAt ?? now,
    updatedAt: now,
  })
  const isStart = happening.kind === 'seen' && placeOf(definition, happening.event.type)?.kind === 'start'
  tx.afterCommit(() => {
    const attributes = { 'banyan.service': service, 'banyan.flow': key.flow }
    const { started, ended, flagged } = flowInstruments()
    if (isStart && state.status !== 'ignored') started.add(1, attributes)
    if (hasEnded(state) && !hasEnded(record?.state)) ended.add(1, attributes)
    for (const { kind } of raised) flagged.add(1, { ...attributes, 'banyan.flag': kind })
    for (const flag of raised) log.warn(fieldsOf(key, flag), `a flow does not go as declared: ${flag.detail}`)
  })
}

function hasEnded(state: FlowState | undefined): boolean {
  return state?.status === 'ended'
}

function fieldsOf({ flow, correlationId }: FlowKey, { kind, event }: FlowFlag): object {
  return { flow, correlationId, flag: kind, event }
}
