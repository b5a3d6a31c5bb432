import type { World } from '@banyan/core'
import type { Connection } from './connection.ts'

/** Cuts a connection on which the server does not answer at all; where it does, its own limit has ended the statement before. */
export async function bounded<T>(
  connection: Connection,
  { world, transactionTimeoutMs }: { world: World; transactionTimeoutMs: number },
  work: () => Promise<T>,
): Promise<T> {
  const timer = world.after(2 * transactionTimeoutMs, connection.destroy)
  try {
    return await work()
  } finally {
    timer.cancel()
  }
}
