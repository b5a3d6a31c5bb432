import { saga } from '@banyan/saga'
import { type Explorable, explorable, service } from '@banyan/testing/explore'

/** Takes points once a key. */
const points = service({
  state: { left: 10 },
  operations: {
    spend: {
      guard: 'points',
      do(state, _request: { key: string }) {
        state.left -= 1
      },
    },
  },
})

const explored: Explorable = explorable(
  ({ points }) =>
    saga<{ id: string }>('bonus', { version: 1, key: ({ id }) => id })
      .pivot('spend', { do: (c) => points.spend({ key: c.key }) })
      .done(),
  () => ({ input: { id: 'b1' }, services: { points }, faults: 1 }),
)
export default explored
