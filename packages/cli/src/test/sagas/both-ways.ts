import { type AnySaga, saga } from '@banyan/saga'
import { type Explorable, explorable, service } from '@banyan/testing/explore'

const points = service({ state: {}, operations: { look: () => undefined } })

const define = () =>
  saga<{ id: string }>('both-ways', { version: 1, key: ({ id }) => id })
    .local('order', { do: () => undefined, undo: () => undefined })
    .pivot('confirm', { local: () => undefined })
    .done()

/** By itself, for the service. */
export const bothWays: AnySaga = define()
export default bothWays

/** With those who take part, to be explored. */
export const explored: Explorable = explorable(define, () => ({ input: { id: 'o1' }, services: { points } }))
/** The same in another situation. */
export const other: Explorable = explorable(define, () => ({ input: { id: 'o2' }, services: { points } }))
