import type { Logger } from '@banyan/core'

/** Makes the calls of `afterCommit`: each of them, whatever the others throw. */
export function callAfterCommit(calls: readonly (() => void)[], log: Logger): void {
  for (const call of calls) {
    try {
      // Also one that is async after all: nobody waits for it, and its rejection would end the process.
      const said: unknown = call()
      if (said instanceof Promise) said.catch((error) => tell(log, error))
    } catch (error) {
      // The commit stands, and the others want to hear of it.
      tell(log, error)
    }
  }
}

function tell(log: Logger, error: unknown): void {
  try {
    log.error({ error }, 'an afterCommit call threw')
  } catch {
    // A log that cannot take it must not make a commit look like a failure.
  }
}
