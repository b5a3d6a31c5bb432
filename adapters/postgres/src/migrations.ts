import type { Migration } from '@banyan/core'
import { lanes } from './migrations/000-lanes.ts'
import { saga } from './migrations/002-saga.ts'
import { flows } from './migrations/003-flows.ts'

/** Banyan's own tables (`banyan_*`), in order. They run before the first use of a database. */
export const banyanMigrations: readonly Migration[] = [lanes, saga, flows]
