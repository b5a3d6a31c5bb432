import type { Migration } from '@banyan/core'

/** Where each message of the inbox stood in its bus, and up to where each group has settled each partition of it. */
export const inboxMarks: Migration = {
  id: 'banyan-005-inbox-marks',
  sql: `
    alter table banyan_inbox add column place text;
    alter table banyan_inbox add column place_offset integer;

    create table banyan_inbox_marks (
      grp text not null,
      place text not null,
      place_offset integer not null,
      primary key (grp, place)
    ) strict, without rowid;
  `,
}
