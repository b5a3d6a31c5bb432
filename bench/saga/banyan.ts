import { join } from 'node:path'
import type { Database } from '@banyan/core'
import { postgres } from '@banyan/postgres'
import { runSagas, type Saga, saga, startSaga } from '@banyan/saga'
import { sqlite } from '@banyan/sqlite'
import { createNoopMeter, type Meter, metrics } from '@opentelemetry/api'
import { contextOf, troubleLog } from '../component.ts'
import { doStep, type SagaSite, type SagaSubject, type StepResult } from './subject.ts'

export interface Order {
  readonly key: string
}

/** A step that hangs until its process is killed must not be over its time before. */
const WITHIN_MS = 600_000

/** Four steps in other systems, each with its way back. */
export function orderSaga(body: (step: string, key: string) => Promise<StepResult>): Saga<Order> {
  const rest = { undo: async () => {}, withinMs: WITHIN_MS }
  return saga<Order>('order', { version: 1, key: ({ key }) => key })
    .step('stock', { do: (c) => body('stock', c.input.key), ...rest })
    .step('money', { do: (c) => body('money', c.input.key), ...rest })
    .step('parcel', { do: (c) => body('parcel', c.input.key), ...rest })
    .step('label', { do: (c) => body('label', c.input.key), ...rest })
    .done((c) => ({ stock: c.stock, money: c.money, parcel: c.parcel, label: c.label }))
}

/** PostgreSQL, or one SQLite file with `synchronous=FULL`. */
export function openDatabase(engine: 'postgres' | 'sqlite', { url, folder }: SagaSite): Database {
  if (engine === 'postgres') return postgres(url, { name: 'bench', log: troubleLog })
  return sqlite(join(folder, 'bench.db'), { log: troubleLog })
}

export function openBanyan(engine: 'postgres' | 'sqlite'): (site: SagaSite) => Promise<SagaSubject> {
  return async (site) => {
    const database = openDatabase(engine, site)
    const waiting: (() => void)[] = []
    // Whose end it was is not said: with one in flight it is clear, with more it does not matter for the rate.
    onSagaEnd(() => waiting.shift()?.())
    const placeOrder = orderSaga(doStep)
    const worker = runSagas([placeOrder])
    await worker.start(contextOf('bench', { database }))
    return {
      async run(key) {
        const ended = new Promise<void>((resolve) => waiting.push(resolve))
        await startSaga(database, placeOrder, { key })
        await ended
      },
      async close() {
        await worker.stop()
        await database.close()
      },
    }
  }
}

/** Hears of each end as the engine counts it for the metrics: after the commit that stores it. */
export function onSagaEnd(heard: () => void): void {
  const ended = {
    add(_count: number, { 'banyan.outcome': outcome }: { 'banyan.outcome'?: unknown } = {}) {
      if (outcome !== 'completed') throw new Error(`a saga of the benchmark ended "${outcome}"`)
      heard()
    },
  }
  const noop = createNoopMeter()
  const meter: Meter = Object.assign(Object.create(noop), {
    createCounter: (name: string) => (name === 'banyan.sagas.ended' ? ended : noop.createCounter(name)),
  })
  metrics.setGlobalMeterProvider({ getMeter: () => meter })
}
