import { ExploreError } from './explore-errors.ts'

/** How long something simulated may take, milliseconds: all of it is ready at once. */
const PATIENCE_MS = 5_000

/**
 * What `end` gives: of a body that needs nothing but what is simulated, which is ready at once.
 *
 * @throws {ExploreError} `ERR_OUTSIDE_SIMULATION` when it is not settled after a while: it waits for the real world, maybe for ever
 */
export async function watched<T>(who: () => string, end: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let settled = false
  const ended = end.finally(() => {
    settled = true
  })
  // Whoever waits hears of it below; nobody does while the turns are counted.
  ended.catch(() => {})
  // Most are settled by now, without a timer.
  for (let turn = 0; turn < 64 && !settled; turn += 1) await undefined
  if (settled) return ended
  const outside = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ExploreError('ERR_OUTSIDE_SIMULATION', `${who()} waits for something that is not simulated: a timer, a socket or a file`))
    }, PATIENCE_MS)
  })
  try {
    return await Promise.race([ended, outside])
  } finally {
    clearTimeout(timer)
  }
}
