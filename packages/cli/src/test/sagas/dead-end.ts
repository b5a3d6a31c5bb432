import { saga } from '@banyan/saga'
import { type Explorable, explorable } from '@banyan/testing/explore'

/** The orders it is explored with are never big. */
const deadEnd: Explorable = explorable(
  () =>
    saga<{ id: string; big: boolean }>('dead-end', { version: 1, key: ({ id }) => id })
      .when(
        'is-big',
        (c) => c.input.big,
        (branch) => branch.local('check', { do: () => undefined, undo: () => undefined }),
      )
      .pivot('confirm', { local: () => undefined })
      .done(),
  () => ({ input: { id: 'o1', big: false }, services: {} }),
)
export default deadEnd
