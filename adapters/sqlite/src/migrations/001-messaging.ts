import type { Migration } from '@banyan/core'

/** The tables behind `publish`, `relay`, `consume` and `deadLetters`. Times are milliseconds since 1970. */
export const messaging: Migration = {
  id: 'banyan-001-messaging',
  sql: `
    -- Positions are never used again (autoincrement), not even when all rows are gone: the relay only looks above "done".
    create table banyan_outbox (
      position integer primary key autoincrement,
      type text not null,
      key text not null,
      body text not null,
      time integer not null
    ) strict;

    create table banyan_outbox_lease (
      partition integer primary key,
      epoch integer not null,
      owner text,
      expires_at integer,
      done integer not null
    ) strict;
    insert into banyan_outbox_lease (partition, epoch, owner, expires_at, done) values (0, 0, null, null, 0);

    create table banyan_inbox (
      grp text not null,
      id text not null,
      taken_at integer not null,
      primary key (grp, id)
    ) strict, without rowid;
    create index banyan_inbox_age on banyan_inbox (grp, taken_at);

    -- One row a message. In a lane (the key, within a group) only the first row is "due" or "dead"; the rest are "waiting".
    create table banyan_key_queue (
      position integer primary key autoincrement,
      grp text not null,
      lane text not null,
      message_id text not null,
      type text,
      key text,
      raw text not null,
      trace_id text,
      state text not null check (state in ('waiting', 'due', 'dead')),
      attempts integer not null,
      due_at integer,
      reason text,
      code text,
      message text,
      stack text,
      first_at integer,
      last_at integer,
      parked_at integer not null,
      revision integer not null,
      unique (grp, message_id)
    ) strict;
    create index banyan_key_queue_lane on banyan_key_queue (grp, lane, position);
    create index banyan_key_queue_state on banyan_key_queue (grp, state, due_at, parked_at);
    create index banyan_key_queue_dead on banyan_key_queue (position) where state = 'dead';

    create view banyan_dead_letters as
      select position as id, grp, type, key, message_id, reason, code, message, attempts, first_at, last_at, trace_id, raw
      from banyan_key_queue where state = 'dead';

    create table banyan_dead_letter_audit (
      id integer primary key autoincrement,
      dead_letter integer not null,
      action text not null check (action in ('redrive', 'discard', 'edit')),
      decided_by text not null,
      why text not null,
      at integer not null,
      grp text not null,
      message_id text not null,
      raw text not null
    ) strict;
    create index banyan_dead_letter_audit_letter on banyan_dead_letter_audit (dead_letter);
  `,
}
