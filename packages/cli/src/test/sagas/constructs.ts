import { saga } from '@banyan/saga'

const step = { do: () => undefined, undo: () => undefined }

/** One of each construct, to be drawn. */
export const constructs = saga<{ id: string; big: boolean; seats: string[] }>('constructs', { version: 1, key: ({ id }) => id })
  .all({ flight: step, hotel: step })
  .when(
    'big',
    (c) => c.input.big,
    (branch) => branch.step('check', step),
  )
  .each('seats', (c) => c.input.seats, step)
  .sleep('think', 1_000)
  .pivot('confirm', { local: () => undefined })
  .done()
