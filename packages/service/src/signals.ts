import { type Logger, messageOf, silentLogger } from '@banyan/core'

export interface RunUntilSignalOptions {
  /** Default: SIGTERM and SIGINT. */
  signals?: readonly NodeJS.Signals[]
  log?: Logger
}

/**
 * Waits for a signal, then stops everything in reverse order, and resolves with the signal. For the main file of a process:
 * the services are running already. A second signal ends the process at once, as if nobody listened.
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

function nextSignal(signals: readonly NodeJS.Signals[]): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals) => {
      for (const each of signals) process.off(each, onSignal)
      resolve(signal)
    }
    for (const each of signals) process.on(each, onSignal)
  })
}
