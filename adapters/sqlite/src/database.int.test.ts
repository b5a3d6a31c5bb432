import { databaseSuite } from '@banyan/testing'
import { createSite, createSmallSite, siteModule } from './test/site.ts'

databaseSuite('SQLite', { create: createSite, createSmall: createSmallSite, module: siteModule })
