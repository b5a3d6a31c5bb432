import type { Database, World } from '@banyan/core'
import { metrics } from '@opentelemetry/api'
import { deadLettersPort, outboxLogPort } from './ports.ts'

/** Reports how far the relay is behind; gives back how to stop. */
export function observeOutbox(database: Database, world: World, service: string): () => void {
  const meter = metrics.getMeter('@banyan/messaging')
  const backlog = meter.createObservableGauge('banyan.outbox.backlog', { description: 'Events not yet handed to the bus' })
  const age = meter.createObservableGauge('banyan.outbox.oldest_age', { description: 'Age of the oldest of them', unit: 's' })
  const outbox = database.store(outboxLogPort)
  const attributes = { 'banyan.service': service }
  const observe = async (result: Parameters<Parameters<typeof meter.addBatchObservableCallback>[0]>[0]) => {
    const stats = await database.read((tx) => outbox.stats(tx))
    result.observe(backlog, stats.backlog, attributes)
    result.observe(age, ageSeconds(stats.oldestAt, world), attributes)
  }
  meter.addBatchObservableCallback(observe, [backlog, age])
  return () => meter.removeBatchObservableCallback(observe, [backlog, age])
}

/** Reports the parked keys and dead letters of a group; gives back how to stop. */
export function observeKeyQueue(database: Database, world: World, service: string, group: string): () => void {
  const meter = metrics.getMeter('@banyan/messaging')
  const parked = meter.createObservableGauge('banyan.parked_keys', { description: 'Keys with messages that wait' })
  const dead = meter.createObservableGauge('banyan.dead_letters', { description: 'Messages that wait for a decision' })
  const age = meter.createObservableGauge('banyan.dead_letters.oldest_age', { description: 'Age of the oldest of them', unit: 's' })
  const store = database.store(deadLettersPort)
  const attributes = { 'banyan.service': service, 'banyan.group': group }
  const observe = async (result: Parameters<Parameters<typeof meter.addBatchObservableCallback>[0]>[0]) => {
    const all = await database.read((tx) => store.stats(tx))
    const stats = all.find((one) => one.group === group)
    result.observe(parked, stats?.parkedKeys ?? 0, attributes)
    result.observe(dead, stats?.deadLetters ?? 0, attributes)
    result.observe(age, ageSeconds(stats?.oldestDeadAt, world), attributes)
  }
  meter.addBatchObservableCallback(observe, [parked, dead, age])
  return () => meter.removeBatchObservableCallback(observe, [parked, dead, age])
}

function ageSeconds(since: number | undefined, world: World): number {
  return since === undefined ? 0 : Math.max(0, world.now() - since) / 1_000
}
