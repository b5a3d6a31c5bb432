import { busSuite } from '@banyan/testing'
import { createBusSite, siteModule } from './test/site.ts'

busSuite('The SQLite bus', { create: createBusSite, module: siteModule }, { ordering: 'key', redelivery: true, replay: true })
