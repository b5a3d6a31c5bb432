import type { Migration } from '@banyan/core'

/** What sends signals out of a snapshot that is older than what it meets: transactions of other data layers. */
export const sagaSnapshots: Migration = {
  id: 'banyan-009-saga-snapshots',
  sql: `
    -- What holds a channel: see "hold" in saga-signals.ts. "turns": how often it was held. Rows come as they are needed and stay. Nearly
    -- all of a page is for their next versions, so that these stay in it (HOT).
    create table banyan_saga_channels (
      bucket integer primary key,
      turns bigint not null
    ) with (fillfactor = 10);
  `,
}
