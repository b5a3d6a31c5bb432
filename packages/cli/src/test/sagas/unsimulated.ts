import { saga } from '@banyan/saga'
import { type Explorable, explorable } from '@banyan/testing/explore'

/** Its step wants SQL, and nobody gives it a database. */
const explored: Explorable = explorable(
  saga<{ id: string }>('note', { version: 1, key: ({ id }) => id })
    .local('note', { do: async (tx) => void (await tx.sql`select 1`), undo: () => undefined, touches: { note: 'none' } })
    .pivot('confirm', { local: () => undefined })
    .done(),
  () => ({ input: { id: 'n1' }, services: {} }),
)
export default explored
