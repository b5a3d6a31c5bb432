import type { Database, StorePort, Transaction, World } from '@banyan/core'
import { envelopeOf, type Outbox, outboxPort } from '@banyan/messaging/internal'
import { misuse } from './explore-misuse.ts'
import { stillWorld } from './explore-world.ts'

/**
 * The database of the service that runs the saga, for its local steps: a real one in memory or a simulated one. The explorer goes
 * back and forth between moments, so what is in it can be taken out and put back.
 */
export interface ExploredDatabase {
  /** Runs `body` as one atomic unit; takes everything back when it throws. */
  transaction<T>(body: (tx: Transaction) => Promise<T>): Promise<T>
  /** Everything in it that matters, as plain data: equal content gives equal data. */
  save(): unknown
  /** Makes its content what {@link ExploredDatabase.save} gave. */
  load(saved: unknown): unknown
  /** Called at the end of an exploration. */
  close?(): unknown
}

/** How the rows that matter are taken out of a real database, and put back. */
export interface RowsOf<Rows> {
  /** Everything that local steps read or write, in one order. */
  save(tx: Transaction): Promise<Rows>
  /** Makes the tables what {@link RowsOf.save} gave. */
  load(tx: Transaction, rows: Rows): Promise<unknown>
}

/** What {@link realDatabase} keeps. */
export interface RealContent<Rows = unknown> {
  readonly rows: Rows
  readonly published: readonly Published[]
}

/**
 * A real database in memory, so that local steps run their own SQL: `realDatabase(sqlite(':memory:'), { save, load })`. Events that
 * they publish are kept beside it and not in its outbox.
 */
export function realDatabase<Rows>(database: Database, { save, load }: RowsOf<Rows>): ExploredDatabase {
  const world = stillWorld()
  let published: readonly Published[] = []
  return {
    transaction(body) {
      const next = [...published]
      const outbox = outboxOf(world, next)
      return database
        .transaction((tx) => {
          // The one port that is not the database's own is that of the outbox.
          const store = <T>(port: StorePort<T>): T => (port.name === outboxPort.name ? (outbox as T) : tx.store(port))
          const { dialect, sql, beforeCommit, afterCommit } = tx
          return body({ dialect, sql, beforeCommit, afterCommit, store })
        })
        .then((value) => {
          published = next
          return value
        })
    },
    save: async (): Promise<RealContent<Rows>> => ({ rows: await database.transaction(save), published }),
    async load(saved) {
      // What `save` gave, a copy of it.
      const content = saved as RealContent<Rows>
      published = content.published
      await database.transaction((tx) => load(tx, content.rows))
    },
    close: () => database.close(),
  }
}

/** What {@link simulatedDatabase} keeps. */
export interface SimulatedContent<State = unknown> {
  readonly state: State
  /** The events its transactions have published: the type and the data of each. */
  readonly published: readonly Published[]
}

/** An event, as a transaction published it. */
export interface Published {
  readonly type: string
  readonly data: unknown
}

const states = new WeakMap<Transaction, unknown>()

/** The state of a {@link simulatedDatabase}, for local steps to read and to change in place. */
export function localState<State>(tx: Transaction): State {
  const state = states.get(tx)
  if (state === undefined) throw misuse('ERR_OUTSIDE_SIMULATION', 'this transaction is not one of a simulated database')
  // The caller names the type of the state the database was made with.
  return state as State
}

/** A database without SQL: its local steps read and change {@link localState}, and may publish events. */
export function simulatedDatabase<State>(world: World, initial: State): ExploredDatabase {
  let content: SimulatedContent<State> = { state: structuredClone(initial), published: [] }

  return {
    async transaction(body) {
      const before = content
      const state = structuredClone(content.state)
      const published = [...content.published]
      const writes: (() => Promise<void>)[] = []
      const tx = transactionOf(outboxOf(world, published), writes)
      states.set(tx, state)
      const result = await body(tx)
      for (let write = writes.shift(); write; write = writes.shift()) await write()
      if (content === before) content = { state, published }
      return result
    },
    save: () => content,
    load(saved) {
      // What `save` gave, a copy of it.
      content = saved as SimulatedContent<State>
    },
  }
}

function transactionOf(outbox: Outbox, writes: (() => Promise<void>)[]): Transaction {
  return {
    dialect: 'sqlite',
    sql: () => Promise.reject(misuse('ERR_OUTSIDE_SIMULATION', 'a simulated database has no SQL; give explore() a "database"')),
    beforeCommit: (write) => void writes.push(write),
    afterCommit: () => {},
    store<T>(port: StorePort<T>): T {
      if (port.name !== outboxPort.name)
        throw misuse('ERR_OUTSIDE_SIMULATION', `a simulated database has no "${port.name}"; give explore() a "database"`)
      // The one port it has is that of the outbox.
      return outbox as T
    },
  }
}

function outboxOf(world: World, published: Published[]): Outbox {
  return {
    source: 'explored',
    world,
    async append(_tx, records) {
      for (const { type, body } of records) published.push({ type, data: envelopeOf(body).data })
    },
    onAppend: () => () => {},
  }
}
