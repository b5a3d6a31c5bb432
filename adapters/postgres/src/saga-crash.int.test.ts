import { sagaCrashSuite } from '../../../packages/saga/src/test/crash-suite.ts'
import { siteMaker, siteModule } from './test/site.ts'

sagaCrashSuite('PostgreSQL', { module: siteModule, create: siteMaker() })
