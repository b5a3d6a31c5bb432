import { saga } from '@banyan/saga'

/** Nothing about it is to be found. */
export const fine = saga<{ id: string }>('fine', { version: 1, key: ({ id }) => id })
  .local('order', { do: () => undefined, undo: () => undefined })
  .step('stock', { do: () => ({ held: 1 }), undo: () => undefined })
  .pivot('confirm', { local: () => undefined })
  .step('label', { do: () => undefined })
  .done()
