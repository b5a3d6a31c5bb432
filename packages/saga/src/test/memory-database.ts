// A database in memory for the unit tests of this room: transactions one after another, real rollback, no SQL.
import { type Database, type ReadTransaction, type StorePort, storePort, type Transaction, type World } from '@banyan/core'
import { type Outbox, outboxPort } from '@banyan/messaging/internal'
import { type ParticipantRecord, type ParticipantStore, participantPort } from '../participant-store.ts'
import type { SagaShape } from '../shape.ts'
import type { SagaState } from '../state.ts'
import {
  type DefinitionName,
  type SagaArchive,
  type SagaCount,
  type SagaDecision,
  type SagaHistoryEntry,
  type SagaRecord,
  type SagaStore,
  sagaArchivePort,
  sagaStorePort,
} from '../store.ts'

interface State {
  sagas: Map<string, SagaRecord>
  workers: Map<string, { epoch: number; expiresAt: number }>
  shapes: Map<string, SagaShape>
  history: SagaHistoryEntry[]
  decisions: SagaDecision[]
  participants: Map<string, ParticipantRecord>
  published: string[]
  effects: string[]
}

/** What steps under test write in their transaction. */
export interface Effects {
  add(effect: string): void
}
export const effectsPort: StorePort<Effects> = storePort<Effects>('effects')

export interface MemoryDatabase extends Database {
  state(): State
  /** While set, every transaction and read fails with it. */
  breakWith(error: Error | undefined): void
  /** The next transaction commits, and then fails with this error as if its answer was lost. */
  loseAnswer(error: Error): void
}

const never: ReadTransaction['sql'] = () => Promise.reject(new Error('the memory database has no SQL'))

export function memoryDatabase(world: World): MemoryDatabase {
  let state: State = {
    sagas: new Map(),
    workers: new Map(),
    shapes: new Map(),
    history: [],
    decisions: [],
    participants: new Map(),
    published: [],
    effects: [],
  }
  let broken: Error | undefined
  let lost: Error | undefined
  let tail: Promise<unknown> = Promise.resolve()
  const stores = storesOf(() => state, world)
  const store = <T>(port: StorePort<T>): T => {
    // The map holds for each port the store of its type.
    const found = stores.get(port) as T | undefined
    if (!found) throw new Error(`no store for "${port.name}"`)
    return found
  }

  async function run<T>(body: (tx: Transaction) => Promise<T>): Promise<T> {
    if (broken) throw broken
    const before = structuredClone(state)
    const writes: (() => Promise<void>)[] = []
    const notices: (() => void)[] = []
    const beforeCommit = (write: () => Promise<void>) => void writes.push(write)
    const tx: Transaction = { dialect: 'sqlite', sql: never, store, beforeCommit, afterCommit: (notify) => void notices.push(notify) }
    try {
      const result = await body(tx)
      for (let write = writes.shift(); write; write = writes.shift()) await write()
      for (const notify of notices) notify()
      if (!lost) return result
    } catch (error) {
      state = before
      throw error
    }
    const error = lost
    lost = undefined
    throw error
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
    breakWith(error) {
      broken = error
    },
    loseAnswer(error) {
      lost = error
    },
  }
}

function storesOf(state: () => State, world: World): Map<StorePort<unknown>, unknown> {
  return new Map<StorePort<unknown>, unknown>([
    [sagaStorePort, sagaStore(state, world)],
    [sagaArchivePort, sagaArchive(state, world)],
    [participantPort, participantStore(state, world)],
    [effectsPort, { add: (effect: string) => void state().effects.push(effect) } satisfies Effects],
    [outboxPort, outbox(state, world)],
  ])
}

function sagaStore(state: () => State, world: World): SagaStore {
  const unowned = (known: readonly DefinitionName[]) =>
    [...state().sagas.values()].filter(({ state: { status }, owner, name, version }) => {
      if (!isLive(status) || !known.some((one) => one.name === name && one.version === version)) return false
      return !owner || owner.epoch < (state().workers.get(owner.worker)?.epoch ?? 0)
    })
  const dead = (now: number) => [...state().workers].filter(([, { expiresAt }]) => expiresAt > 0 && expiresAt <= now)
  return {
    world,
    async insert(_tx, saga) {
      const there = [...state().sagas.values()].find(({ name, key }) => name === saga.name && key === saga.key)
      if (there) return there.id
      const claims = saga.owner ? 1 : 0
      state().sagas.set(saga.id, { ...saga, results: '{}', output: undefined, revision: 0, claims, updatedAt: saga.createdAt })
      return saga.id
    },
    async advance(_tx, { id, owner, revision, entry, ...change }) {
      const saga = state().sagas.get(id)
      if (!saga || saga.owner?.worker !== owner.worker || saga.owner.epoch !== owner.epoch || saga.revision !== revision) return false
      state().sagas.set(id, { ...saga, ...change, revision: revision + 1, updatedAt: entry.at })
      state().history.push({ ...entry, saga: id })
      return true
    },
    async enlist(_tx, { id, expiresAt, now, force }) {
      const before = state().workers.get(id)
      if (before && !force && before.expiresAt > now) return undefined
      state().workers.set(id, { epoch: (before?.epoch ?? 0) + 1, expiresAt })
      return (before?.epoch ?? 0) + 1
    },
    async renew(_tx, { worker, epoch }, expiresAt) {
      if (state().workers.get(worker)?.epoch !== epoch) return false
      state().workers.set(worker, { epoch: expiresAt === 0 ? epoch + 1 : epoch, expiresAt })
      return true
    },
    define: async (_tx, shape) => void state().shapes.set(`${shape.name}@${shape.version}`, shape),
    claimable: async (_tx, known, now) => dead(now).length > 0 || unowned(known).length > 0,
    async claim(_tx, owner, known, now, limit) {
      for (const [id, { epoch }] of dead(now)) {
        if (id !== owner.worker || epoch !== owner.epoch) state().workers.set(id, { epoch: epoch + 1, expiresAt: 0 })
      }
      if (state().workers.get(owner.worker)?.epoch !== owner.epoch) return []
      const taken = unowned(known)
        .slice(0, limit)
        .map((saga) => ({ ...saga, owner, claims: saga.claims + 1, revision: saga.revision + 1 }))
      for (const saga of taken) state().sagas.set(saga.id, saga)
      return taken
    },
  }
}

function sagaArchive(state: () => State, world: World): SagaArchive {
  return {
    world,
    list: async (_tx, { status, name, version, finished }, limit) =>
      [...state().sagas.values()]
        .filter((saga) => (status ?? saga.state.status) === saga.state.status && (name ?? saga.name) === saga.name)
        .filter((saga) => (version ?? saga.version) === saga.version)
        .filter((saga) => finished === undefined || finished === (!isLive(saga.state.status) && saga.state.status !== 'stuck'))
        .reverse()
        .slice(0, limit),
    find: async (_tx, id) => state().sagas.get(id),
    history: async (_tx, id) => state().history.filter(({ saga }) => saga === id),
    async decide(_tx, id, next, decision) {
      const saga = state().sagas.get(id)
      if (saga?.state.status !== 'stuck') return false
      state().sagas.set(id, { ...saga, state: next, owner: undefined, revision: saga.revision + 1, updatedAt: decision.at })
      state().decisions.push(decision)
      return true
    },
    decisions: async (_tx, id, limit) =>
      state()
        .decisions.filter(({ saga }) => id === undefined || saga === id)
        .reverse()
        .slice(0, limit),
    shape: async (_tx, { name, version }) => state().shapes.get(`${name}@${version}`),
    counts: async (_tx, status) => countsOf([...state().sagas.values()], status),
  }
}

function countsOf(sagas: SagaRecord[], wanted: 'stuck' | undefined): SagaCount[] {
  const counts = new Map<string, SagaCount>()
  for (const { id, name, version, state } of sagas) {
    const { status } = state
    if (status === 'completed' || status === 'compensated' || (wanted && status !== wanted)) continue
    const before = counts.get(`${name}@${version} ${status}`)
    counts.set(`${name}@${version} ${status}`, { name, version, status, count: (before?.count ?? 0) + 1, oldest: before?.oldest ?? id })
  }
  return [...counts.values()]
}

function participantStore(state: () => State, world: World): ParticipantStore {
  return {
    world,
    async begin(_tx, record) {
      const before = state().participants.get(record.key)
      if (!before) state().participants.set(record.key, record)
      return before
    },
    async finish(_tx, key, change) {
      const before = state().participants.get(key)
      if (before) state().participants.set(key, { ...before, ...change })
    },
    find: async (_tx, key) => state().participants.get(key),
    async forget(_tx, before, limit) {
      const old = [...state().participants.values()].filter(({ at }) => at < before).slice(0, limit)
      for (const { key } of old) state().participants.delete(key)
      return old.length
    },
  }
}

function outbox(state: () => State, world: World): Outbox {
  return {
    source: 'orders',
    world,
    append: async (_tx, records) => void state().published.push(...records.map(({ body }) => body)),
    onAppend: () => () => {},
  }
}

function isLive(status: SagaState['status']): boolean {
  return status === 'running' || status === 'undoing' || status === 'waiting'
}
