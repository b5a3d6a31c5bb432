import { type Component, databaseOf } from '@banyan/core'
import type { AnySaga } from './definition.ts'
import { checkName, checkWhole, TIMER_LIMIT_MS } from './options.ts'
import { type SagaWorker, sagaWorker } from './saga-worker.ts'

const DAY_MS = 24 * 60 * 60 * 1_000

export interface SagaWorkerOptions {
  /**
   * Who the worker is across restarts: a process that comes back under the same id takes its sagas up at once instead of waiting
   * for the lease to run out. With several instances they number themselves: `orders/0`, `orders/1`. Default: the service's name.
   */
  workerId?: string
  /** How many sagas make a step at the same time, 1 to 10,000; with more, they take turns step by step. Default 64. */
  concurrency?: number
  /**
   * How many sagas are under way at most, and in memory, about 2.5 kB each and what their results weigh; from 1. What is beyond is left in the
   * database, to this worker or others. Lower it where few should hold reservations at a time. Default 100,000.
   */
  maxSagas?: number
  /** How long a silent worker keeps its sagas, milliseconds from 100 to 2^31 - 1, as a timer takes. Default 2,000. Renewed after each third of it. */
  leaseMs?: number
  /** How late sagas are seen that another process started or left behind, milliseconds from 10 to 2^31 - 1. Default 250. */
  pollMs?: number
  /**
   * Sagas that wait longer than this leave the memory, milliseconds from 0. Default 15,000: shorter pauses, as those between attempts,
   * go by a clock that does not jump.
   */
  parkAfterMs?: number
  /** How long finished sagas stay among the running ones before they go to the archive, milliseconds from 0. Default one day. */
  keepFinishedMs?: number
  /** How long signals are kept, taken or not, milliseconds from 1,000. Default 30 days. */
  keepSignalsMs?: number
  /**
   * How long stopping waits for attempts in flight, milliseconds to 2^31 - 1. Default 5,000. Then it gives up on them: their signals abort, and what
   * local steps have written is taken back.
   */
  drainMs?: number
}

/**
 * Runs sagas: those started in this process at once, those of others that died, and its own from before a crash.
 *
 * A saga is run by one worker at a time: each write is fenced by the worker's epoch. A stored saga whose name and version is not
 * among `definitions` is left alone and logged.
 *
 * @throws {RangeError} {TypeError} for options out of range, or two definitions of one name and version
 */
export function runSagas(definitions: readonly AnySaga[], options: SagaWorkerOptions = {}): Component {
  const { concurrency = 64, maxSagas = 100_000, leaseMs = 2_000, pollMs = 250, drainMs = 5_000 } = options
  const { parkAfterMs = 15_000, keepFinishedMs = DAY_MS, keepSignalsMs = 30 * DAY_MS } = options
  const action = 'run sagas'
  checkWhole(action, 'concurrency', concurrency, 1, 10_000)
  checkWhole(action, 'maxSagas', maxSagas, 1)
  checkWhole(action, 'leaseMs', leaseMs, 100, TIMER_LIMIT_MS)
  checkWhole(action, 'pollMs', pollMs, 10, TIMER_LIMIT_MS)
  checkWhole(action, 'drainMs', drainMs, 0, TIMER_LIMIT_MS)
  checkWhole(action, 'parkAfterMs', parkAfterMs, 0)
  checkWhole(action, 'keepFinishedMs', keepFinishedMs, 0)
  checkWhole(action, 'keepSignalsMs', keepSignalsMs, 1_000)
  if (options.workerId !== undefined) checkName(action, '"workerId"', options.workerId)
  checkDefinitions(definitions)
  let running: SagaWorker | undefined

  return {
    name: 'sagas',
    async start(context) {
      const { service, world, log } = context
      const database = databaseOf(context, 'sagas')
      const workerId = options.workerId ?? service
      const times = { leaseMs, pollMs, drainMs, parkAfterMs, keepFinishedMs, keepSignalsMs }
      running = sagaWorker({ database, world, log, service, definitions, workerId, concurrency, maxSagas, ...times })
      await running.start()
    },
    async stop() {
      await running?.stop()
      running = undefined
    },
    async health() {
      return running ? running.health() : { healthy: false, detail: 'not started' }
    },
  }
}

function checkDefinitions(definitions: readonly AnySaga[]): void {
  const seen = new Set<string>()
  for (const { name, version } of definitions) {
    const id = `${name}@${version}`
    if (seen.has(id)) throw new TypeError(`cannot run sagas: there are two definitions of version ${version} of "${name}"`)
    seen.add(id)
  }
}
