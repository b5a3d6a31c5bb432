import { silentLogger } from '@banyan/core'
import { participantSuite, type StoreSuiteOptions, sagaStoreSuite, type TestDatabase, testPostgres } from '@banyan/testing'
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
  sagaStoreSuite(`PostgreSQL, ${isolation}`, options)
  participantSuite(`PostgreSQL, ${isolation}`, options)
}
