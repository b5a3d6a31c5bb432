import { defineConfig } from 'vitest/config'

const conditions = ['@banyan/source', 'module', 'node', 'development|production']

export default defineConfig({
  ssr: { resolve: { conditions, externalConditions: ['@banyan/source', 'node'] } },
  resolve: { conditions },
  test: {
    include: ['{packages,adapters,examples,scripts}/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    execArgv: ['--conditions=@banyan/source'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
