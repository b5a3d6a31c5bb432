import { saga } from '@banyan/saga'
import { type Explorable, explorable, service } from '@banyan/testing/explore'
import explored from './explorable.ts'

const points = service({ state: {}, operations: { earn: { guard: 'points', do: (_state, _request: { key: string }) => undefined } } })

/** Stands before the other one: exports come in the order of their names. */
export const another: Explorable = explorable(
  ({ points }) =>
    saga<{ id: string }>('another', { version: 1, key: ({ id }) => id })
      .pivot('earn', { do: (c) => points.earn({ key: c.key }) })
      .done(),
  () => ({ input: { id: 'b1' }, services: { points } }),
)
export const bonus: Explorable = explored
