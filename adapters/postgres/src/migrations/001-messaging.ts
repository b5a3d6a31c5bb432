import type { Migration } from '@banyan/core'

/** The tables behind `publish`, `relay`, `consume` and `deadLetters`. Times are milliseconds since 1970. */
export const messaging: Migration = {
  id: 'banyan-001-messaging',
  sql: `
    create sequence banyan_outbox_position;

    -- Append-only: rows are never updated or deleted, whole partitions of it are dropped. "part" is the relay partition of the key.
    create table banyan_outbox (
      position bigint not null,
      part smallint not null,
      type text not null,
      key text not null,
      body text not null,
      time bigint not null,
      primary key (part, position)
    ) partition by range (position);

    -- Room on the page for new versions of the row, so that marking what is sent touches no index (HOT).
    create table banyan_outbox_lease (
      partition smallint primary key,
      epoch bigint not null,
      owner text,
      expires_at bigint,
      done bigint not null
    ) with (fillfactor = 50);
    insert into banyan_outbox_lease (partition, epoch, owner, expires_at, done)
      select partition, 0, null, null, 0 from generate_series(0, 3) as partition;

    -- Makes partitions until they reach "ahead" positions beyond the last one drawn. Attached, not created in place: that waits for
    -- nobody and nobody waits for it.
    create function banyan_outbox_extend(ahead bigint) returns void language plpgsql as $$
    declare
      size constant bigint := 1048576;
      drawn bigint;
      next bigint;
    begin
      perform pg_advisory_xact_lock(1869968483, 'banyan_outbox'::regclass::oid::int);
      drawn := coalesce(pg_sequence_last_value('banyan_outbox_position'), 0);
      select greatest(coalesce(max(substring(c.relname from '\\d+$')::bigint), -1) + 1, drawn / size) into next
        from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'banyan_outbox'::regclass;
      while next * size <= drawn + ahead loop
        execute format('create table banyan_outbox_%s (like banyan_outbox including all)', next);
        execute format('alter table banyan_outbox attach partition banyan_outbox_%s for values from (%s) to (%s)',
          next, next * size, (next + 1) * size);
        next := next + 1;
      end loop;
    end $$;
    select banyan_outbox_extend(4194304);

    -- Drops the oldest partition when nothing can be written to it any more (it ends before "final") and all of it is sent.
    create function banyan_outbox_trim(final bigint) returns boolean language plpgsql as $$
    declare
      size constant bigint := 1048576;
      oldest bigint;
      unsent boolean;
    begin
      if not pg_try_advisory_xact_lock(1869968483, 'banyan_outbox'::regclass::oid::int) then return false; end if;
      select min(substring(c.relname from '\\d+$')::bigint) into oldest
        from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'banyan_outbox'::regclass;
      if oldest is null or (oldest + 1) * size > final then return false; end if;
      execute format('select exists (select 1 from banyan_outbox_lease l where exists (
        select 1 from banyan_outbox_%s o where o.part = l.partition and o.position > l.done))', oldest) into unsent;
      if unsent then return false; end if;
      execute format('drop table banyan_outbox_%s', oldest);
      return true;
    end $$;

    create table banyan_inbox (
      grp text not null,
      id text not null,
      taken_at bigint not null,
      place text,
      place_offset bigint,
      primary key (grp, id)
    );
    create index banyan_inbox_age on banyan_inbox (grp, taken_at);

    -- Everything of a place (a partition of the bus) up to the offset is settled.
    create table banyan_inbox_marks (
      grp text not null,
      place text not null,
      place_offset bigint not null,
      primary key (grp, place)
    );

    -- One row a message. In a lane (the key, within a group) only the first row is "due" or "dead"; the rest are "waiting".
    create table banyan_key_queue (
      position bigint generated always as identity primary key,
      grp text not null,
      lane text not null,
      message_id text not null,
      type text,
      key text,
      raw text not null,
      trace_id text,
      state text not null check (state in ('waiting', 'due', 'dead')),
      attempts integer not null,
      due_at bigint,
      reason text,
      code text,
      message text,
      stack text,
      first_at bigint,
      last_at bigint,
      parked_at bigint not null,
      revision integer not null,
      unique (grp, message_id)
    );
    create index banyan_key_queue_lane on banyan_key_queue (grp, lane, position);
    create index banyan_key_queue_due on banyan_key_queue (grp, due_at, position) where state = 'due';
    create index banyan_key_queue_dead on banyan_key_queue (position) where state = 'dead';

    -- The advisory lock of a lane.
    create function banyan_lane_key(grp text, lane text) returns bigint language sql immutable parallel safe as
      'select hashtextextended(lane, hashtextextended(grp, 0))';

    -- One round trip. Volatile: under READ COMMITTED each statement of it sees what was committed while it waited for the lock.
    create function banyan_inbox_admit(g text, m text, l text, now bigint, p text, o bigint, old boolean) returns text
      language plpgsql volatile as $$
    begin
      perform pg_advisory_xact_lock(banyan_lane_key(g, l));
      if old and exists (select 1 from banyan_inbox_marks where grp = g and place = p and place_offset >= o) then return 'duplicate'; end if;
      insert into banyan_inbox (grp, id, taken_at, place, place_offset) values (g, m, now, p, o) on conflict do nothing;
      if not found then return 'duplicate'; end if;
      if exists (select 1 from banyan_key_queue where grp = g and lane = l) then return 'parked'; end if;
      return 'new';
    end $$;

    create view banyan_dead_letters as
      select position as id, grp, type, key, message_id, reason, code, message, attempts, first_at, last_at, trace_id, raw
      from banyan_key_queue where state = 'dead';

    create table banyan_dead_letter_audit (
      id bigint generated always as identity primary key,
      dead_letter bigint not null,
      action text not null check (action in ('redrive', 'discard', 'edit')),
      decided_by text not null,
      why text not null,
      at bigint not null,
      grp text not null,
      message_id text not null,
      raw text not null
    );
    create index banyan_dead_letter_audit_letter on banyan_dead_letter_audit (dead_letter);
  `,
}
