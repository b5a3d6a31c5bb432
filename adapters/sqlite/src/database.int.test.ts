import { databaseSuite } from '@banyan/testing'
import { createSite, createSmallSite, open, siteModule } from './test/site.ts'

databaseSuite('SQLite', { create: createSite, createSmall: createSmallSite, module: siteModule })

databaseSuite('SQLite in memory', {
  create: async () => ({ place: ':memory:', open: (options) => open(':memory:', options), remove: async () => {} }),
  createSmall: 'a database in memory has no disk',
  module: undefined,
})
