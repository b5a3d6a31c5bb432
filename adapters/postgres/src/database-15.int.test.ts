import { existsSync } from 'node:fs'
import { databaseSuite, type PostgresServer, startPostgres, type TestDatabase } from '@banyan/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { siteMaker, siteModule } from './test/site.ts'
import { smallSiteMaker } from './test/small-site.ts'

const BIN_DIR = '/usr/lib/postgresql/15/bin'

describe('with an older server', () => {
  if (!existsSync(BIN_DIR)) {
    it.skip(`left out: there is no PostgreSQL 15 in "${BIN_DIR}"`)
    return
  }

  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ binDir: BIN_DIR })
  })
  afterAll(() => server.stop())

  async function create(): Promise<TestDatabase> {
    const url = await server.database()
    return { url, drop: () => server.drop(url) }
  }
  databaseSuite('PostgreSQL 15', { create: siteMaker(create), createSmall: smallSiteMaker(create), module: siteModule })
})
