import { type Bus, encodeEnvelope, type Logger, silentLogger, systemWorld, type World } from '@banyan/core'
import {
  assign,
  type BusGroups,
  type BusStore,
  type GroupMember,
  type HeldPartition,
  type LoggedEvent,
  logBus,
  PARTITIONS,
  partitionOf,
  type SavedPartition,
} from '@banyan/messaging/internal'

export interface MemoryBusOptions {
  /** Handles of one log are one bus: events published through one come to the subscribers of all. Default: a log of its own. */
  log?: MemoryBusLog
  world?: World
  /** Default: silent. */
  logger?: Logger
  /** The most events in one batch, from 1. Default 128. */
  maxBatch?: number
}

/** The events and groups behind a {@link memoryBus}. */
export interface MemoryBusLog {
  readonly events: (LoggedEvent & { storedAt: number })[]
  readonly members: Map<string, GroupMember & { expiresAt: number }>
  /** By group: who has each partition, and how far it has come. */
  readonly groups: Map<string, Holding[]>
  readonly wakers: Set<() => void>
}

interface Holding {
  readonly partition: number
  member: string | undefined
  epoch: number
  positions: string
}

/** An empty log, for several handles to share. */
export function memoryBusLog(): MemoryBusLog {
  return { events: [], members: new Map(), groups: new Map(), wakers: new Set() }
}

/**
 * A bus in memory, for unit tests: keys, groups, redelivery and replay as the embedded ones have them, by the same code, in one process
 * and until it ends.
 */
export function memoryBus(options: MemoryBusOptions = {}): Bus {
  const { log = memoryBusLog(), world = systemWorld, logger = silentLogger, maxBatch = 128 } = options
  const store: BusStore = {
    log: {
      identity: async () => 'memory',
      async append(batch) {
        for (const envelope of batch) {
          const { type, subject } = envelope
          const position = (log.events.at(-1)?.position ?? 0) + 1
          log.events.push({ position, type, partition: partitionOf(subject), raw: encodeEnvelope(envelope), storedAt: world.now() })
        }
        for (const wake of log.wakers) wake()
      },
      async read({ after, types, partitions, limit }) {
        // A turn of the event loop, as with a real store: a bus must not starve timers.
        await new Promise<void>((resolve) => void world.after(0, resolve))
        const wanted = ({ position, type, partition }: LoggedEvent) =>
          position > after && types.includes(type) && partitions.includes(partition)
        const events = log.events.filter(wanted).slice(0, limit)
        const end = log.events.at(-1)?.position ?? 0
        const upTo = events.length === limit ? (events.at(-1)?.position ?? end) : Math.max(after, end)
        return { events, upTo, atEnd: upTo >= end }
      },
      // A test is over long before an event is old.
      prune: async () => 0,
    },
    groups: memoryGroups(log, world),
    watch(wake) {
      const waker = () => wake(undefined)
      log.wakers.add(waker)
      return { stop: async () => void log.wakers.delete(waker) }
    },
    error: (code, message) => Object.assign(new Error(message), { code }),
    close: async () => {},
  }
  return logBus(store, { world, log: logger, leaseMs: 1_800, saveMs: 50, maxBatch, retentionMs: 7 * 24 * 3_600_000 })
}

function memoryGroups(log: MemoryBusLog, world: World): BusGroups {
  const alive = (group: string) => [...log.members.values()].filter((one) => one.group === group && one.expiresAt > world.now())
  const holdingsOf = (group: string) => {
    const known = log.groups.get(group) ?? emptyGroup()
    log.groups.set(group, known)
    return known
  }
  const plan = ({ id, group }: GroupMember) => assign(holdingsOf(group), [...new Set([...alive(group).map((one) => one.id), id])], id)
  const save = ({ id, group }: GroupMember, unsaved: readonly SavedPartition[]) =>
    unsaved.flatMap(({ partition, epoch, positions }) => {
      const holding = holdingsOf(group).find((one) => one.partition === partition && one.member === id && one.epoch === epoch)
      if (!holding) return []
      holding.positions = positions
      return [partition]
    })

  return {
    async join(member, unsaved, leaseMs) {
      const { id, group } = member
      const other = alive(group).find((one) => [...one.types].sort().join() !== [...member.types].sort().join())
      if (other) return { otherTypes: other.types }
      log.members.set(id, { ...member, expiresAt: world.now() + leaseMs })
      save(member, unsaved)
      const { release, take } = plan(member)
      for (const holding of holdingsOf(group)) {
        if (release.includes(holding.partition)) holding.member = undefined
        if (take.includes(holding.partition)) Object.assign(holding, { member: id, epoch: holding.epoch + 1 })
      }
      return {
        held: holdingsOf(group)
          .filter((one) => one.member === id)
          .map(heldOf),
        oldest: log.events[0]?.position ?? 1,
      }
    },
    async look(member) {
      const others = alive(member.group).filter(({ id }) => id !== member.id)
      const nextExpiryMs = Math.min(...others.map(({ expiresAt }) => expiresAt - world.now()))
      const { release, take } = plan(member)
      return { changes: release.length + take.length > 0, nextExpiryMs }
    },
    async renew(handle, leaseMs) {
      const mine = [...log.members.values()].filter((one) => one.handle === handle)
      for (const one of mine) one.expiresAt = world.now() + leaseMs
      return mine.map(({ id }) => id)
    },
    save: async (work) => work.map(({ member, unsaved }) => save(member, unsaved)),
    async leave(member, unsaved) {
      save(member, unsaved)
      for (const holding of holdingsOf(member.group)) if (holding.member === member.id) holding.member = undefined
      log.members.delete(member.id)
    },
  }
}

function emptyGroup(): Holding[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, member: undefined, epoch: 0, positions: '{}' }))
}

function heldOf({ partition, epoch, positions }: Holding): HeldPartition {
  return { partition, epoch, positions: JSON.parse(positions) }
}
