import { type Database, type Logger, sleep, type World } from '@banyan/core'
import type { FlowLedger } from './flow-ledger.ts'
import { type FlowKey, flowStorePort } from './flow-store.ts'

/** Flows looked at, or forgotten, in one go: few enough to take a few milliseconds. */
const CHUNK = 500
/** How often to look for flows that are past their retention, milliseconds. */
const FORGET_EVERY_MS = 60_000

export interface FlowTimerOptions {
  readonly database: Database
  readonly world: World
  readonly log: Logger
  readonly ledger: FlowLedger
  readonly pollMs: number
  readonly retentionMs: number
  readonly flaggedRetentionMs: number
}

/** Wakes flows when their time has come, and forgets old ones. What it has to do stands in the database, so a restart loses nothing. */
export interface FlowTimer {
  start(): void
  /** Resolves when what runs is done. */
  stop(): Promise<void>
}

/** Creates a {@link FlowTimer}. Several may run: a flow that was woken twice is flagged once. */
export function flowTimer(options: FlowTimerOptions): FlowTimer {
  const { world, log, pollMs } = options
  const abort = new AbortController()
  let running: Promise<void> = Promise.resolve()
  /** Flows of this look that could not be stored, which are due still. */
  const failed = new Set<string>()

  async function loop(): Promise<void> {
    let forgetAt = world.monotonic() + FORGET_EVERY_MS
    while (!abort.signal.aborted) {
      let more = false
      try {
        more = await wakeDue(options, failed)
        if (world.monotonic() >= forgetAt) {
          const full = await forgetOld(options)
          forgetAt = full ? world.monotonic() : world.monotonic() + FORGET_EVERY_MS
        }
      } catch (error) {
        log.error({ error }, 'cannot look after the flows; it will be tried again')
      }
      if (more) continue
      failed.clear()
      await sleep(world, pollMs, abort.signal).catch(stopped)
    }
  }

  return {
    start() {
      running = loop()
    },
    stop() {
      abort.abort()
      return running
    },
  }
}

/** A sleep that was cut short because the component stops: the loop sees that by itself. */
function stopped(): void {}

/** Whether there may be more. Those of `failed` are left to the next look: they must not keep the flows behind them from being flagged. */
async function wakeDue({ database, world, log, ledger }: FlowTimerOptions, failed: Set<string>): Promise<boolean> {
  const store = database.store(flowStorePort)
  const limit = CHUNK + failed.size
  const due = await database.read((tx) => store.due(tx, ledger.names, world.now(), limit))
  const untried = due.filter((key) => !failed.has(nameOf(key)))
  // One transaction each: what a flow cannot be stored for must not keep the others from being flagged, nor old ones from being forgotten.
  const ended = await Promise.allSettled(untried.map((key) => database.transaction((tx) => ledger.wake(tx, key))))
  const lost = untried.flatMap((key, index) => {
    const end = ended[index]
    return end?.status === 'rejected' ? [{ ...key, error: end.reason }] : []
  })
  for (const key of lost) failed.add(nameOf(key))
  if (lost.length > 0) log.error({ ...lost[0], flows: lost.length }, 'cannot look at flows whose time has come; it will be tried again')
  return due.length === limit
}

function nameOf({ flow, correlationId }: FlowKey): string {
  return JSON.stringify([flow, correlationId])
}

/** Whether there may be more. */
async function forgetOld({ database, world, ledger, retentionMs, flaggedRetentionMs }: FlowTimerOptions): Promise<boolean> {
  const store = database.store(flowStorePort)
  let full = false
  for (const flow of ledger.names) {
    for (const [flagged, keepMs] of [
      [false, retentionMs],
      [true, flaggedRetentionMs],
    ] as const) {
      const gone = await database.transaction((tx) => store.forget(tx, flow, { flagged, before: world.now() - keepMs }, CHUNK))
      full ||= gone === CHUNK
    }
  }
  return full
}
