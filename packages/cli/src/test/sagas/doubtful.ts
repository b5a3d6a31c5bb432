import { nothing, saga } from '@banyan/saga'

const key = ({ id }: { id: string }) => id

export const first = saga<{ id: string }>('doubtful', { version: 1, key })
  .step('stock', { do: () => undefined, undo: nothing('') })
  .step('money', { do: () => undefined, undo: () => undefined })
  .done()

/** Sagas of version 1 that stand at "money" cannot go on here. */
export const second = saga<{ id: string }>('doubtful', { version: 2, key })
  .step('stock', { do: () => undefined, undo: () => undefined })
  .pivot('confirm', { local: () => undefined })
  .done()
