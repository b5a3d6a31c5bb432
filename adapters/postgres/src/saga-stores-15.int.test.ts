import { existsSync } from 'node:fs'
import { silentLogger } from '@banyan/core'
import { type PostgresServer, participantSuite, sagaStoreSuite, startPostgres } from '@banyan/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { postgres } from './index.ts'

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

  const options = {
    open: async () => postgres(await server.database(), { log: silentLogger }),
    close: (database: { close(): Promise<void> }) => database.close(),
  }
  sagaStoreSuite('PostgreSQL 15', options)
  participantSuite('PostgreSQL 15', options)
})
