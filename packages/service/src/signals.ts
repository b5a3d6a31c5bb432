import { type Logger, messageOf, silentLogger, systemWorld } from '@banyan/core'

export interface RunUntilSignalOptions {
  /** Default: SIGTERM and SIGINT. */
  signals?: readonly NodeJS.Signals[]
  log?: Logger
}

/**
 * Waits for a signal, then stops everything in reverse order, and resolves with the signal. For the main file of a process:
 * the services are running already. A second signal ends the process at once, as if nobody listened; one that comes within
 * 300 ms is the same one, handed on by npm or a shell to a process that has it from the terminal.
 *
 * @throws AggregateError of what the stops threw, after all of them were tried
 */
export async function runUntilSignal(
  running: readonly { stop(): Promise<void> }[],
  options: RunUntilSignalOptions = {},
): Promise<NodeJS.Signals> {
  const { signals = ['SIGTERM', 'SIGINT'], log = silentLogger } = options
  const signal = await nextSignal(signals)
  log.info({ signal }, `${signal}: stopping`)
  const failures: unknown[] = []
  for (const service of [...running].reverse()) {
    try {
      await service.stop()
    } catch (error) {
      log.error({ error }, `a stop failed: ${messageOf(error)}`)
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} of ${running.length} stops failed`)
  return signal
}

/** Ctrl-C comes twice to a program that npm runs: from the terminal, and from npm. */
const SAME_PRESS_MS = 300

function nextSignal(signals: readonly NodeJS.Signals[]): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let heard = false
    const onSignal = (signal: NodeJS.Signals) => {
      if (heard) return
      heard = true
      resolve(signal)
      systemWorld.after(SAME_PRESS_MS, () => {
        for (const each of signals) process.off(each, onSignal)
      })
    }
    for (const each of signals) process.on(each, onSignal)
  })
}
