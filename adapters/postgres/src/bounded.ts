import type { World } from '@banyan/core'
import type { Connection } from './connection.ts'

/** The longest that a timer takes, milliseconds. */
const LONGEST_MS = 2 ** 31 - 1

/** Cuts a connection on which the server does not answer at all; where it does, its own limit has ended the statement before. */
export async function bounded<T>(
  connection: Connection,
  { world, transactionTimeoutMs }: { world: World; transactionTimeoutMs: number },
  work: () => Promise<T>,
): Promise<T> {
  const timer = world.after(Math.min(2 * transactionTimeoutMs, LONGEST_MS), connection.destroy)
  try {
    return await work()
  } finally {
    timer.cancel()
  }
}
