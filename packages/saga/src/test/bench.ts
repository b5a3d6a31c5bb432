// A service to run sagas in: a world that stands still, a database in memory, and a list of what happened.
import {
  type Component,
  type ComponentContext,
  type Database,
  type Envelope,
  type Logger,
  type ManualWorld,
  manualWorld,
} from '@banyan/core'
import { envelopeOf } from '@banyan/messaging/internal'
import type { AnySaga } from '../definition.ts'
import { type Sagas, sagas } from '../recover.ts'
import type { SagaDetails } from '../summary.ts'
import { runSagas, type SagaWorkerOptions } from '../worker.ts'
import { type TestDatabase, testDatabase } from './database.ts'

export interface Bench {
  readonly world: ManualWorld
  readonly database: TestDatabase
  readonly admin: Sagas
  /** The envelopes that wait in the outbox. */
  published(): Promise<Envelope[]>
  /** What steps have noted, in order. */
  readonly calls: string[]
  /** Messages of warnings and errors. */
  readonly logged: { level: string; message: string; fields: object }[]
  /** Starts a worker; several may run, each on a line of its own to the database. */
  run(definitions: readonly AnySaga[], options?: SagaWorkerOptions & { line?: Line }): Promise<Component>
  /** The only saga there is. */
  only(): Promise<SagaDetails>
  /** Lets time pass until the only saga is in `status`. @throws when it does not get there in `withinMs` */
  until(status: SagaDetails['status'], withinMs?: number): Promise<SagaDetails>
}

/** A worker's line to the database; cut, the worker neither reads nor writes, as a process that sleeps or is dead. */
export interface Line {
  cut(): void
  mend(): void
  over(database: Database): Database
}

export function line(): Line {
  let mended: { promise: Promise<void>; resolve: () => void } | undefined
  const through = async <T>(call: () => Promise<T>): Promise<T> => {
    await mended?.promise
    return call()
  }
  return {
    cut() {
      mended = Promise.withResolvers<void>()
    },
    mend() {
      mended?.resolve()
      mended = undefined
    },
    over: (database) => ({
      ...database,
      transaction: (body) => through(() => database.transaction(body)),
      read: (body) => through(() => database.read(body)),
    }),
  }
}

/** Time in small steps: the database, as any other, needs some turns of the event loop for what falls due. */
function steppedWorld(): ManualWorld {
  const world = manualWorld()
  return {
    ...world,
    async advance(durationMs) {
      await world.advance(0)
      for (let passed = 0; passed < durationMs; passed += 25) await world.advance(Math.min(25, durationMs - passed))
      await world.advance(0)
      await world.advance(0)
    },
  }
}

export function bench(): Bench {
  const world = steppedWorld()
  const database = testDatabase(world)
  const admin = sagas(database)
  const logged: Bench['logged'] = []
  const note = (level: string) => (fields: object, message: string) => void logged.push({ level, message, fields })
  const log: Logger = { debug() {}, info() {}, warn: note('warn'), error: note('error') }
  const context: ComponentContext = { service: 'orders', instanceId: 'i-1', world, log, database, bus: undefined }

  async function only(): Promise<SagaDetails> {
    const [summary, ...more] = await admin.list()
    if (!summary || more.length > 0) throw new Error(`wanted one saga, there are ${summary ? more.length + 1 : 0}`)
    return admin.show(summary.id)
  }

  return {
    world,
    database,
    admin,
    async published() {
      const rows = await database.read((tx) => tx.sql<{ body: string }>`select body from banyan_outbox order by position`)
      return rows.map(({ body }) => envelopeOf(body))
    },
    calls: [],
    logged,
    async run(definitions, { line, ...options } = {}) {
      const worker = runSagas(definitions, options)
      await worker.start({ ...context, database: line?.over(database) ?? database })
      return worker
    },
    only,
    async until(status, withinMs = 600_000) {
      for (let passed = 0; passed < withinMs; passed += 50) {
        await world.advance(50)
        const saga = await only()
        if (saga.status === status) return saga
      }
      throw new Error(`wanted ${status} within ${withinMs} ms, it is ${(await only()).status}`)
    },
  }
}
