import { type Component, databaseOf, type Envelope, type EventType } from '@banyan/core'
import { consume } from '@banyan/messaging'
import type { Flow } from './flow.ts'
import { type FlowLedger, flowLedger } from './flow-ledger.ts'
import { type FlowTimer, flowTimer } from './flow-timer.ts'
import { checkWhole, LONGEST_MS, TIMER_LIMIT_MS } from './options.ts'

export interface FlowWatcherOptions {
  /** The consumer group of the watcher: several instances share its events. Default: the service's name and `/flows`. */
  group?: string
  /**
   * How much later an event may arrive than those that come after it in the flow, and how far the clocks of publishers may differ,
   * milliseconds from 0. Nothing that is missing is flagged sooner. Longer where buses may lag. Default 30,000.
   */
  graceMs?: number
  /** How long a flow that needs nobody is kept after its last change, milliseconds from 1,000. Default 7 days. */
  retentionMs?: number
  /** How long one with open flags is kept, milliseconds, at least `retentionMs`. Default 90 days. */
  flaggedRetentionMs?: number
  /** How late a flow is flagged after its time, milliseconds from 10. Default 1,000. */
  pollMs?: number
}

const DAY_MS = 24 * 60 * 60 * 1_000

/**
 * Watches flows: consumes their events, each exactly once, follows them by their correlation id in the service's own database, and
 * flags those that stop, end twice, take a path nobody declared, go on after their end, or have no start. It only watches.
 *
 * Events may arrive in any order. A flag for something that is missing is raised after `graceMs`, and cleared should it come yet.
 * A flow begins under the highest version that speaks of its first event, and is judged by that one as long as it is given, else by
 * the highest: give the old one too until what began under it has ended.
 *
 * @throws {TypeError} {RangeError} for options out of range, no flows, or two declarations of one name and version
 */
export function watchFlows(flows: readonly Flow[], options: FlowWatcherOptions = {}): Component {
  const settings = settingsOf(flows, options)
  const types = eventTypesOf(flows)
  let running: { consumer: Component; timer: FlowTimer } | undefined

  return {
    name: 'flows',
    async start(context) {
      const { service, world, log } = context
      const database = databaseOf(context, 'flows')
      const { graceMs, pollMs, retentionMs, flaggedRetentionMs } = settings
      const ledger: FlowLedger = flowLedger(flows, { graceMs, log, service })
      const consumer = consume(types, async ({ data, envelope }, tx) => ledger.note(tx, seenOf(envelope), correlationOf(envelope), data), {
        group: options.group ?? `${service}/flows`,
        // Two events of one flow have different keys as often as not: the store holds the flow, not the lane.
        ordering: 'none',
      })
      const timer = flowTimer({ database, world, log, ledger, pollMs, retentionMs, flaggedRetentionMs })
      running = { consumer, timer }
      await consumer.start(context)
      timer.start()
    },
    async stop() {
      await Promise.all([running?.timer.stop(), running?.consumer.stop()])
      running = undefined
    },
    async health() {
      return (await running?.consumer.health?.()) ?? { healthy: false, detail: 'not started' }
    },
  }
}

/** An event of any type: the data has passed its schema. */
function seenOf({ id, source, type, time, causationid }: Envelope) {
  return { id, source, type, time: Date.parse(time), cause: causationid }
}

function correlationOf({ correlationid, id }: Envelope): string {
  return correlationid ?? id
}

function settingsOf(flows: readonly Flow[], options: FlowWatcherOptions) {
  const { graceMs = 30_000, retentionMs = 7 * DAY_MS, pollMs = 1_000 } = options
  const { flaggedRetentionMs = Math.max(retentionMs, 90 * DAY_MS) } = options
  const action = 'watch flows'
  checkWhole(action, 'graceMs', graceMs, 0, LONGEST_MS)
  checkWhole(action, 'retentionMs', retentionMs, 1_000)
  checkWhole(action, 'flaggedRetentionMs', flaggedRetentionMs, retentionMs)
  checkWhole(action, 'pollMs', pollMs, 10, TIMER_LIMIT_MS)
  if (flows.length === 0) throw new TypeError('cannot watch flows: none given')
  const seen = new Set<string>()
  for (const { name, version } of flows) {
    if (seen.has(`${name}@${version}`))
      throw new TypeError(`cannot watch flows: there are two declarations of version ${version} of "${name}"`)
    seen.add(`${name}@${version}`)
  }
  return { graceMs, retentionMs, flaggedRetentionMs, pollMs }
}

/** Each event type once. @throws {TypeError} for two types of one name */
function eventTypesOf(flows: readonly Flow[]): EventType[] {
  const types = new Map<string, EventType>()
  for (const { name, events } of flows) {
    for (const type of events) {
      const other = types.get(type.name)
      if (other && other.version !== type.version)
        throw new TypeError(
          `cannot watch flows: "${name}" has version ${type.version} of event "${type.name}", another flow version ${other.version}`,
        )
      types.set(type.name, type)
    }
  }
  return [...types.values()]
}
