import { busOf, type Component, type Database, databaseOf, messageOf, type World } from '@banyan/core'
import { busAnswers } from './bus-answers.ts'
import { observeKeyQueue, observeOutbox } from './gauges.ts'
import { checkOptions } from './options.ts'
import { outboxTidier } from './outbox-tidier.ts'
import { parkedSender } from './parked-sender.ts'
import { DEFAULT_RETRY, type RetrySchedule } from './parking.ts'
import { outboxLogPort } from './ports.ts'
import { relayGroup } from './relay-group.ts'
import { type PartitionMover, partitionMover } from './relay-partition.ts'

export interface RelayOptions {
  /** Events handed to the bus at once, a whole number from 1. Default 1,000. */
  batchSize?: number
  /** How long a relay that fell silent keeps others waiting, milliseconds. Default 1,500. */
  leaseMs?: number
  /** How soon to look again after the outbox was found empty, milliseconds; doubles up to `maxPollMs`. Default 5, or `maxPollMs` if that is less. */
  minPollMs?: number
  /** How late another process's events are seen at most, milliseconds; this process's are seen at once. Default 1,000. */
  maxPollMs?: number
  /**
   * How an event that the bus does not take is tried again before it is a dead letter. Default: 6 runs, 1,000 ms base, 30,000 ms cap.
   * A run counts only where the bus has taken other events before and after it; else it says nothing about the event.
   */
  retry?: Partial<RetrySchedule>
}

/**
 * Moves what the service published from its outbox to its bus: at least once, each key's events in the order they committed.
 *
 * Any number of relays may run on one database; a fenced lease lets one at a time move a partition, and another takes over
 * within `leaseMs` of its death. An event that the bus refuses while it takes others parks its key, and after its retries is a
 * dead letter of the group `<service>/relay`; other keys flow on. While the bus is away nothing is parked, nothing becomes a dead
 * letter and nothing is lost. It stops after what is with the bus: the rest is for the next relay.
 *
 * Always healthy while the database answers: a service is ready without its bus.
 *
 * @throws {RangeError} for options out of range
 * @see Richardson, Microservices Patterns, 3.3.7, "Polling publisher"
 */
export function relay(options: RelayOptions = {}): Component {
  const { batchSize = 1_000, leaseMs = 1_500, maxPollMs = 1_000, minPollMs = Math.min(5, maxPollMs) } = options
  const retry = { ...DEFAULT_RETRY, baseMs: 1_000, ...options.retry }
  checkOptions('create relay', { batchSize, leaseMs, maxPollMs, minPollMs, ...retry })
  if (minPollMs > maxPollMs)
    throw new RangeError(`cannot create relay: "minPollMs" is ${minPollMs}, wanted at most "maxPollMs", which is ${maxPollMs}`)
  let running: { parts: { stop(): Promise<void> }[]; unobserve: () => void; detail: () => Promise<string> } | undefined

  return {
    name: 'relay',
    async start(context) {
      const { service, instanceId, world, log } = context
      const database = databaseOf(context, 'relay')
      const bus = busOf(context, 'relay')
      const outbox = database.store(outboxLogPort)
      const group = relayGroup(service)
      const common = { database, bus, answers: busAnswers(), world, log, service, group, batchSize, leaseMs, minPollMs, maxPollMs, retry }
      const owner = `${instanceId}/${world.uuid()}`
      const movers = Array.from({ length: outbox.partitions }, (_, partition) => partitionMover({ ...common, partition, owner }))
      const parts = [...movers, parkedSender({ ...common, pollMs: maxPollMs }), outboxTidier(common)]
      for (const part of parts) part.start()
      const unobserve = [observeOutbox(database, world, service), observeKeyQueue(database, world, service, group)]
      running = {
        parts,
        unobserve: () => {
          for (const end of unobserve) end()
        },
        detail: () => describe(database, world, movers),
      }
    },
    async stop() {
      if (!running) return
      running.unobserve()
      await Promise.all(running.parts.map((part) => part.stop()))
      running = undefined
    },
    async health() {
      if (!running) return { healthy: false, detail: 'not started' }
      try {
        return { healthy: true, detail: await running.detail() }
      } catch (error) {
        return { healthy: false, detail: `cannot read the outbox: ${messageOf(error)}` }
      }
    },
  }
}

async function describe(database: Database, world: World, movers: readonly PartitionMover[]): Promise<string> {
  const { backlog, oldestAt } = await database.read((tx) => database.store(outboxLogPort).stats(tx))
  const age = oldestAt === undefined ? '' : `, the oldest ${world.now() - oldestAt} ms old`
  const trouble = movers.flatMap((mover) => mover.trouble() ?? []).map((error) => `; last error: ${messageOf(error)}`)
  return `backlog ${backlog}${age}${trouble[0] ?? ''}`
}
