import { databaseSuite } from '@banyan/testing'
import { siteMaker, siteModule } from './test/site.ts'
import { smallSiteMaker } from './test/small-site.ts'

databaseSuite('PostgreSQL', { create: siteMaker(), createSmall: smallSiteMaker(), module: siteModule })
