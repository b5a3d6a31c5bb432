import { silentLogger } from '@banyan/core'
import { flowSuite, isolationSuite, type StoreSuiteOptions, type TestDatabase, testPostgres } from '@banyan/testing'
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
