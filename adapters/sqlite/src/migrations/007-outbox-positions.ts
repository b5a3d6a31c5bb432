import type { Migration } from '@banyan/core'

/**
 * An outbox without `autoincrement`, which writes a second page at every commit that publishes. What it promised, that no position is
 * used again, now rests on one rule that the file itself keeps: the newest row is never deleted, so the next one is always above it.
 */
export const outboxPositions: Migration = {
  id: 'banyan-007-outbox-positions',
  sql: `
    create table banyan_outbox_next (
      position integer primary key,
      type text not null,
      key text not null,
      body text not null,
      time integer not null
    ) strict;
    insert into banyan_outbox_next (position, type, key, body, time)
      select position, type, key, body, time from banyan_outbox order by position;

    -- Where all that was published is sent and dropped, a row at "done" keeps the place; relays look above it only.
    insert into banyan_outbox_next (position, type, key, body, time)
      select done, '', '', '', 0 from banyan_outbox_lease
      where partition = 0 and done > 0 and not exists (select 1 from banyan_outbox_next where position >= done);

    drop table banyan_outbox;
    alter table banyan_outbox_next rename to banyan_outbox;

    -- Not only in the statement that cleans: a process of an older version, or a person, may delete as well.
    create trigger banyan_outbox_newest before delete on banyan_outbox
      when old.position = (select max(position) from banyan_outbox)
      begin select raise(ignore); end;
  `,
}
