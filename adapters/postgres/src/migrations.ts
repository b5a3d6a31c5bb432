import type { Migration } from '@banyan/core'

/** Banyan's own tables (`banyan_*`), in order. They run before the first use of a database. */
export const banyanMigrations: readonly Migration[] = []
