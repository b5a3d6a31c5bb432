import { sagaCrashSuite } from '../../../packages/saga/src/test/crash-suite.ts'
import { createSite, siteModule } from './test/site.ts'

sagaCrashSuite('SQLite', { module: siteModule, create: createSite })
