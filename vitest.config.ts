import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const conditions = ['@banyan/source', 'module', 'node', 'development|production']
const resolve = { conditions, externalConditions: ['@banyan/source', 'node'] }

export default defineConfig({
  ssr: { resolve },
  // Where globalSetup runs: without it, a clone in which nothing has been built finds no package.
  environments: { __vitest__: { resolve } },
  resolve: { conditions },
  test: {
    include: ['{packages,adapters,examples,scripts}/**/*.test.ts'],
    // One PostgreSQL server for the run, started when the first test asks for a database.
    globalSetup: './packages/testing/src/postgres-setup.ts',
    pool: 'forks',
    maxWorkers: 2,
    // The processes that tests start keep their compiled sources here and not in the machine's temporary folder.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('./node_modules/.cache/banyan', import.meta.url)) },
    execArgv: ['--conditions=@banyan/source'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
