import { saga } from '@banyan/saga'
import { type Explorable, explorable, service } from '@banyan/testing/explore'

/** Takes points each time it is asked: a repetition takes them twice. */
const points = service({
  state: { left: 10 },
  operations: {
    spend(state, _request: { key: string }, call) {
      state.left -= 1
      call.did()
    },
  },
})

const explored: Explorable = explorable(
  ({ points }) =>
    saga<{ id: string }>('bonus', { version: 1, key: ({ id }) => id })
      .pivot('spend', { do: (c) => points.spend({ key: c.key }) })
      .done(),
  () => ({ input: { id: 'b1' }, services: { points } }),
)
export default explored
