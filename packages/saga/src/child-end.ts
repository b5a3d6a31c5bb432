import type { Transaction } from '@banyan/core'
import type { SagaCodec } from './definition.ts'
import { wakeLocalWorkers } from './local-workers.ts'
import { open, signalBody } from './payload.ts'
import { stateOf } from './standing.ts'
import type { SagaState } from './state.ts'
import { type SagaRecord, sagaSignalsPort, sagaStorePort } from './store.ts'

/** What a saga tells the one that started it, as its signal. */
export interface ChildEnd {
  readonly state: Extract<SagaState, { status: 'completed' | 'compensated' }>
  readonly output?: unknown
}

type Ended = Pick<SagaRecord, 'state' | 'status' | 'output'>

/** Tells the saga that started this one of its end, in the transaction that stores it; nothing while it has not ended, or if none did. */
export async function reportEnd(
  tx: Transaction,
  codec: SagaCodec | undefined,
  { id, report }: Pick<SagaRecord, 'id' | 'report'>,
  ended: Ended,
): Promise<void> {
  const body = report === undefined ? undefined : endOfChild(codec, ended)
  if (report === undefined || body === undefined) return
  const signals = tx.store(sagaSignalsPort)
  await signals.send(tx, { id: `end:${id}`, channel: report, body, at: signals.world.now() })
  tx.afterCommit(() => wakeLocalWorkers(tx.store(sagaStorePort)))
}

/** The body of that signal; `undefined` while the saga has not ended. */
export function endOfChild(codec: SagaCodec | undefined, child: Ended | undefined): string | undefined {
  if (child?.status !== 'completed' && child?.status !== 'compensated') return undefined
  const output = child.output === undefined ? undefined : open(codec, child.output, 'the output of a child saga')
  return signalBody(codec, JSON.stringify({ state: stateOf(child), ...(output !== undefined && { output }) }))
}
