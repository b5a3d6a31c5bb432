import type { Migration } from '@banyan/core'

/**
 * Each operation has a retention of its own, and finds what is past it by this index. The one by age alone stays: a process of an older
 * version that runs beside this one goes by it.
 */
export const participants: Migration = {
  id: 'banyan-009-participants',
  sql: 'create index banyan_participants_operation on banyan_participants (operation, at)',
}
