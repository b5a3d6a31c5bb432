import { silentLogger } from '@banyan/core'
import { flowArchivePort, flowStorePort } from '@banyan/saga/internal'
import { flowSuite, isolationSuite, type StoreSuiteOptions, type TestDatabase, testPostgres } from '@banyan/testing'
import { expect, it, vi } from 'vitest'
import { postgres } from './index.ts'

for (const isolation of ['serializable', 'read committed'] as const) {
  const places = new Map<object, TestDatabase>()
  const options: StoreSuiteOptions = {
    async open() {
      const place = await testPostgres()
      const database = postgres(place.url, { log: silentLogger, isolation })
      places.set(database, place)
      return database
    },
    async close(database) {
      await database.close()
      await places.get(database)?.drop()
    },
  }
  flowSuite(`PostgreSQL, ${isolation}`, options)
  isolationSuite(`PostgreSQL, ${isolation}`, options)
}

it.each(['serializable', 'read committed'] as const)('does not forget a flow that moves at the same time, %s', async (isolation) => {
  const place = await testPostgres()
  const database = postgres(place.url, { log: silentLogger, isolation })
  const key = { flow: 'checkout', correlationId: 'a' }
  const move = (updatedAt: number, held?: () => Promise<void>) =>
    database.transaction(async (tx) => {
      const store = tx.store(flowStorePort)
      await store.load(tx, key)
      await store.save(tx, { ...key, version: 1, state: { status: 'ignored' }, createdAt: 1, updatedAt })
      await held?.()
    })
  const someoneWaits = () =>
    database.read(
      (tx) => tx.sql`
    select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%delete from banyan_flows%'`,
    )
  try {
    await move(1)
    const [saved, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const moving = move(100, () => {
      saved.resolve()
      return go.promise
    })
    await saved.promise
    let isOver = false
    const forgotten = database
      .transaction((tx) => tx.store(flowStorePort).forget(tx, 'checkout', { flagged: false, before: 50 }, 10))
      .finally(() => {
        isOver = true
      })
    // It may wait for the flow, or leave it to the next time.
    await vi.waitFor(async () => expect(isOver || (await someoneWaits()).length === 1).toBe(true), { timeout: 5_000 })
    go.resolve()
    await moving
    expect(await forgotten).toBe(0)
    expect(await database.read((tx) => database.store(flowArchivePort).find(tx, key))).toMatchObject({ updatedAt: 100 })
  } finally {
    await database.close()
    await place.drop()
  }
})
