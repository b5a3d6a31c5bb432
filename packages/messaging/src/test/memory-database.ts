// A database in memory for the unit tests of this room: transactions one after another, real rollback, no SQL.
import {
  type ComponentContext,
  type Database,
  type Logger,
  type ReadTransaction,
  type StorePort,
  silentLogger,
  storePort,
  type Transaction,
  type World,
} from '@banyan/core'
import type { Lease } from '../lease.ts'
import type { Parking } from '../parking.ts'
import {
  type AuditRecord,
  type DeadLetterStore,
  deadLettersPort,
  type Inbox,
  inboxPort,
  type KeyQueue,
  keyQueuePort,
  type Outbox,
  type OutboxEntry,
  type OutboxLog,
  outboxLogPort,
  outboxPort,
  type ParkedMessage,
} from '../ports.ts'

interface State {
  outbox: (OutboxEntry & { time: number })[]
  outboxPosition: number
  lease: Lease
  done: number
  inbox: Map<string, { group: string; takenAt: number }>
  queue: ParkedMessage[]
  queuePosition: number
  audit: AuditRecord[]
  effects: string[]
}

/** What handlers under test write. */
export interface Effects {
  add(effect: string): void
}
export const effectsPort: StorePort<Effects> = storePort<Effects>('effects')

export interface MemoryDatabase extends Database {
  state(): State
  /** While set, every transaction and read fails with it. */
  breakWith(error: Error | undefined): void
}

const never: ReadTransaction['sql'] = () => Promise.reject(new Error('the memory database has no SQL'))

export function memoryDatabase(world: World, name = 'orders'): MemoryDatabase {
  let state: State = {
    outbox: [],
    outboxPosition: 0,
    lease: { kind: 'free', epoch: 0 },
    done: 0,
    inbox: new Map(),
    queue: [],
    queuePosition: 0,
    audit: [],
    effects: [],
  }
  let broken: Error | undefined
  let tail: Promise<unknown> = Promise.resolve()
  const stores = storesOf(() => state, name, world)
  const store = <T>(port: StorePort<T>): T => {
    // The map holds for each port the store of its type.
    const found = stores.get(port as StorePort<unknown>) as T | undefined
    if (!found) throw new Error(`no store for "${port.name}"`)
    return found
  }

  async function run<T>(body: (tx: Transaction) => Promise<T>): Promise<T> {
    if (broken) throw broken
    const before = structuredClone(state)
    const writes: (() => Promise<void>)[] = []
    const notices: (() => void)[] = []
    const tx: Transaction = {
      dialect: 'sqlite',
      sql: never,
      store,
      beforeCommit: (write) => void writes.push(write),
      afterCommit: (notify) => void notices.push(notify),
    }
    try {
      const result = await body(tx)
      for (let write = writes.shift(); write; write = writes.shift()) await write()
      for (const notify of notices) notify()
      return result
    } catch (error) {
      state = before
      throw error
    }
  }

  return {
    dialect: 'sqlite',
    transaction(body) {
      const result = tail.then(() => run(body))
      tail = result.catch(() => undefined)
      return result
    },
    read: async (body) => {
      if (broken) throw broken
      return body({ dialect: 'sqlite', sql: never })
    },
    migrate: async () => {},
    store,
    close: async () => {},
    state: () => state,
    breakWith: (error) => {
      broken = error
    },
  }
}

export function contextOf(world: World, parts: { database: Database; bus?: ComponentContext['bus']; log?: Logger }): ComponentContext {
  return { service: 'orders', instanceId: 'orders-1', world, log: silentLogger, bus: undefined, ...parts }
}

function storesOf(state: () => State, source: string, world: World): Map<StorePort<unknown>, unknown> {
  return new Map<StorePort<unknown>, unknown>([
    [outboxPort, outboxOf(state, source, world)],
    [outboxLogPort, outboxLogOf(state)],
    [inboxPort, inboxOf(state)],
    [keyQueuePort, keyQueueOf(state)],
    [deadLettersPort, deadLettersOf(state)],
    [effectsPort, { add: (effect: string) => void state().effects.push(effect) } satisfies Effects],
  ])
}

function outboxOf(state: () => State, source: string, world: World): Outbox {
  const listeners = new Set<() => void>()
  return {
    source,
    world,
    async append(tx, records) {
      for (const { key, body, time } of records) {
        state().outboxPosition += 1
        state().outbox.push({ position: state().outboxPosition, key, body, time })
      }
      tx.afterCommit(() => {
        for (const wake of listeners) wake()
      })
    },
    onAppend(wake) {
      listeners.add(wake)
      return () => listeners.delete(wake)
    },
  }
}

function outboxLogOf(state: () => State): OutboxLog {
  return {
    partitions: 1,
    load: async () => ({ lease: state().lease, done: state().done }),
    async saveLease(_tx, _partition, lease) {
      state().lease = lease
    },
    async advance(_tx, _partition, { epoch, done, expiresAt }) {
      const { lease } = state()
      if (lease.kind === 'free' || lease.epoch !== epoch) return false
      state().lease = { ...lease, expiresAt }
      state().done = done
      state().outbox = state().outbox.filter(({ position }) => position > done)
      return true
    },
    read: async (_tx, _partition, limit) => state().outbox.slice(0, limit),
    stats: async () => ({ backlog: state().outbox.length, oldestAt: state().outbox[0]?.time }),
  }
}

function inboxOf(state: () => State): Inbox {
  const keyOf = (group: string, id: string) => `${group} ${id}`
  const parked = (group: string, lane: string) => state().queue.some((one) => one.group === group && one.lane === lane)
  return {
    async admit(_tx, { group, id, lane }, takenAt) {
      if (state().inbox.has(keyOf(group, id))) return 'duplicate'
      state().inbox.set(keyOf(group, id), { group, takenAt })
      return parked(group, lane) ? 'parked' : 'new'
    },
    async peek(_tx, { group, id, lane }) {
      if (state().inbox.has(keyOf(group, id))) return 'duplicate'
      return parked(group, lane) ? 'parked' : 'new'
    },
    async clean(_tx, group, before, limit) {
      const old = [...state().inbox].filter(([, one]) => one.group === group && one.takenAt < before).slice(0, limit)
      for (const [key] of old) state().inbox.delete(key)
      return old.length
    },
  }
}

function keyQueueOf(state: () => State): KeyQueue {
  const listeners = new Set<() => void>()
  const wakeAll = () => {
    for (const wake of listeners) wake()
  }
  const laneOf = (group: string, lane: string) => state().queue.filter((one) => one.group === group && one.lane === lane)
  const change = (position: number, parking: Parking, raw?: string) => {
    state().queue = state().queue.map((one) =>
      one.position === position ? { ...one, parking, raw: raw ?? one.raw, revision: one.revision + 1 } : one,
    )
  }
  return {
    async push(tx, message) {
      if (state().queue.some(({ group, messageId }) => group === message.group && messageId === message.messageId)) return
      const parking: Parking = laneOf(message.group, message.lane).length > 0 ? { kind: 'waiting' } : message.parking
      state().queuePosition += 1
      state().queue.push({ ...message, parking, position: state().queuePosition, revision: 1 })
      tx.afterCommit(wakeAll)
    },
    parkedLanes: async (_tx, group, lanes) => new Set(lanes.filter((lane) => laneOf(group, lane).length > 0)),
    upcoming: async (_tx, group, limit) =>
      state()
        .queue.filter((one) => one.group === group && one.parking.kind === 'due')
        .sort((one, other) => dueAt(one) - dueAt(other))
        .slice(0, limit),
    claim: async (_tx, message) => state().queue.some((one) => one.position === message.position && one.revision === message.revision),
    async save(tx, position, parking, raw) {
      change(position, parking, raw)
      tx.afterCommit(wakeAll)
    },
    async remove(tx, { position, group, lane }, now) {
      state().queue = state().queue.filter((one) => one.position !== position)
      const next = laneOf(group, lane)[0]
      if (next) change(next.position, { kind: 'due', attempts: 0, dueAt: now, failure: undefined })
      tx.afterCommit(wakeAll)
      return laneOf(group, lane)[0]
    },
    onDue(wake) {
      listeners.add(wake)
      return () => listeners.delete(wake)
    },
  }
}

function dueAt({ parking }: ParkedMessage): number {
  return parking.kind === 'due' ? parking.dueAt : 0
}

function deadLettersOf(state: () => State): DeadLetterStore {
  return {
    find: async (_tx, filter, after, limit) =>
      state()
        .queue.filter(({ parking, position, group, type, key }) => {
          if (parking.kind !== 'dead' || position <= after) return false
          const facts = { id: position, group, type, key, reason: parking.failure.reason }
          return (['id', 'group', 'type', 'key', 'reason'] as const).every(
            (name) => filter[name] === undefined || filter[name] === facts[name],
          )
        })
        .slice(0, limit),
    followers: async (_tx, group, lane) =>
      state().queue.filter((one) => one.group === group && one.lane === lane && one.parking.kind === 'waiting').length,
    audit: async (_tx, record) => void state().audit.push(record),
    history: async (_tx, id, limit) =>
      state()
        .audit.filter(({ deadLetter }) => id === undefined || deadLetter === id)
        .reverse()
        .slice(0, limit),
    stats: async () => {
      const groups = [...new Set(state().queue.map(({ group }) => group))]
      return groups.map((group) => {
        const own = state().queue.filter((one) => one.group === group)
        const dead = own.filter(({ parking }) => parking.kind === 'dead')
        const heads = own.filter(({ parking }) => parking.kind !== 'waiting')
        return {
          group,
          parkedKeys: heads.length,
          deadLetters: dead.length,
          waiting: own.length - dead.length,
          oldestDeadAt: dead[0]?.parkedAt,
        }
      })
    },
  }
}
