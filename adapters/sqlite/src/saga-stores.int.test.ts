import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { silentLogger } from '@banyan/core'
import { flowSuite, isolationSuite, participantSuite, type StoreSuiteOptions, sagaStoreSuite } from '@banyan/testing'
import { sqlite } from './database.ts'
import type { SqliteDatabase } from './sqlite-database.ts'

const folders = new Map<object, string>()

const inFile: StoreSuiteOptions = {
  async open() {
    const file = join(mkdtempSync(join(tmpdir(), 'banyan-saga-stores-')), 'orders.db')
    const database: SqliteDatabase = sqlite(file, { log: silentLogger })
    folders.set(database, dirname(file))
    return database
  },
  async close(database) {
    await database.close()
    rmSync(folders.get(database) ?? '', { recursive: true, force: true })
  },
}

const inMemory: StoreSuiteOptions = {
  open: async () => sqlite(':memory:', { log: silentLogger }),
  close: (database) => database.close(),
}

for (const [name, options] of [
  ['sqlite', inFile],
  ['sqlite in memory', inMemory],
] as const) {
  sagaStoreSuite(name, options)
  participantSuite(name, options)
  flowSuite(name, options)
  isolationSuite(name, options)
}
