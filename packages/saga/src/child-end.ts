import type { AnySaga } from './definition.ts'
import { open, signalBody } from './payload.ts'
import { stateOf } from './standing.ts'
import type { SagaState } from './state.ts'
import type { SagaRecord } from './store.ts'

/** What a saga tells the one that started it, as its signal. */
export interface ChildEnd {
  readonly state: Extract<SagaState, { status: 'completed' | 'compensated' }>
  readonly output?: unknown
}

/** The body of that signal; `undefined` while the saga has not ended. */
export function endOfChild({ codec }: AnySaga, child: Pick<SagaRecord, 'state' | 'status' | 'output'> | undefined): string | undefined {
  if (child?.status !== 'completed' && child?.status !== 'compensated') return undefined
  const output = child.output === undefined ? undefined : open(codec, child.output, 'the output of a child saga')
  return signalBody(codec, JSON.stringify({ state: stateOf(child), ...(output !== undefined && { output }) }))
}
