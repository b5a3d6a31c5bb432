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

it('goes on with a flow whose long correlation id an older version stored as it was', async () => {
  const place = await testPostgres()
  const database = postgres(place.url, { log: silentLogger })
  const long = 'x'.repeat(600)
  const state = { status: 'running', events: [], more: 0, standsAt: '', flags: [], wakeAt: 5 } as const
  const stored = { flow: 'checkout', version: 1, createdAt: 1, updatedAt: 1 }
  try {
    await database.transaction(async (tx) => {
      await tx.store(flowStorePort).save(tx, { ...stored, correlationId: 'a', state })
      await tx.sql`update banyan_flows set correlation_id = ${long}`
    })
    const archive = database.store(flowArchivePort)
    expect(await database.read((tx) => archive.find(tx, { flow: 'checkout', correlationId: long }))).toMatchObject(stored)
    const due = () => database.transaction((tx) => tx.store(flowStorePort).due(tx, ['checkout'], 9, 10))
    for (const key of await due())
      await database.transaction(async (tx) => {
        const record = await tx.store(flowStorePort).load(tx, key)
        if (record) await tx.store(flowStorePort).save(tx, { ...record, ...key, state: { ...state, wakeAt: 20 }, updatedAt: 9 })
      })
    expect(await due()).toEqual([])
    expect(await database.read((tx) => archive.list(tx, {}, 10))).toMatchObject([{ createdAt: 1, updatedAt: 9 }])
  } finally {
    await database.close()
    await place.drop()
  }
})
