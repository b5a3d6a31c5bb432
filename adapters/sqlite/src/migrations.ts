import type { Migration } from '@banyan/core'
import { messaging } from './migrations/001-messaging.ts'
import { saga } from './migrations/002-saga.ts'

/** Banyan's own tables (`banyan_*`), in order. They run when a database is opened. */
export const banyanMigrations: readonly Migration[] = [messaging, saga]
