import type { Migration } from '@banyan/core'

/**
 * The outbox is one plain table, which takes what is published, and older segments of it, which inherit from it so that whoever reads it reads
 * them too. To find the partition that a row belongs in cost each publisher's COMMIT a fifth of what the event costs.
 *
 * Publishers and relays of older versions work on: those that write name the table, and what they call is still there.
 */
export const outboxSegments: Migration = {
  id: 'banyan-012-outbox-segments',
  sql: `
    -- Begins the outbox anew: a table as the given one, with its owner and its rights, by the name "banyan_outbox". Nothing in it is ever
    -- dead, and all of it is dropped: to vacuum it would write each page, and its image in the log, once more.
    create function banyan_outbox_begin(old regclass) returns void language plpgsql as $$
    declare
      owner name;
      granted record;
    begin
      execute format('create table banyan_outbox (like %s including all)
        with (autovacuum_enabled = off, toast.autovacuum_enabled = off)', old);
      select pg_get_userbyid(relowner) into owner from pg_class where oid = old;
      for granted in
        select a.privilege_type as what, case a.grantee when 0 then 'public' else a.grantee::regrole::text end as who, a.is_grantable
        from pg_class c, aclexplode(c.relacl) a where c.oid = old
      loop
        execute format('grant %s on banyan_outbox to %s%s',
          granted.what, granted.who, case when granted.is_grantable then ' with grant option' else '' end);
      end loop;
      if owner <> current_user then execute format('alter table banyan_outbox owner to %I', owner); end if;
    end $$;

    -- Segments of the outbox, the oldest first.
    create function banyan_outbox_segments() returns table (segment regclass, number bigint) language sql stable as $$
      select i.inhrelid::regclass, substring(c.relname from '[0-9]+$')::bigint
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = to_regclass('banyan_outbox') order by 2
    $$;

    -- Whether relays have sent all of a segment.
    create function banyan_outbox_is_sent(segment regclass) returns boolean language plpgsql as $$
    declare
      unsent boolean;
    begin
      execute format('select exists (select 1 from banyan_outbox_progress l where exists (
        select 1 from only %s o where o.part = l.partition and o.position > l.done))', segment) into unsent;
      return not unsent;
    end $$;

    -- Makes the table a segment and begins a new one, once there are a million positions between its first event and the last one drawn.
    -- The rename waits for who has written there, so all positions of a segment come before those of the next.
    create function banyan_outbox_roll() returns void language plpgsql as $$
    declare
      size constant bigint := 1048576;
      drawn constant bigint := coalesce(pg_sequence_last_value('banyan_outbox_position'), 0);
      old constant regclass := 'banyan_outbox';
      first bigint;
      name text;
      older regclass;
    begin
      select min(o.position) into first from generate_series(0, 3) as parts (part),
        lateral (select position from only banyan_outbox where part = parts.part order by position limit 1) o;
      if first is null or drawn - first < size then return; end if;
      name := 'banyan_outbox_' || greatest(drawn, 1 + (select max(number) from banyan_outbox_segments()));
      execute format('alter table banyan_outbox rename to %I', name);
      perform banyan_outbox_begin(old);
      for older in select inhrelid from pg_inherits where inhparent = old loop
        execute format('alter table %s no inherit %s', older, old);
        execute format('alter table %s inherit banyan_outbox', older);
      end loop;
      execute format('alter table %s inherit banyan_outbox', old);
    end $$;

    -- Drops the oldest segment when all of it is sent; says whether it did.
    create function banyan_outbox_drop() returns boolean language plpgsql as $$
    declare
      oldest constant regclass := (select segment from banyan_outbox_segments() limit 1);
    begin
      if oldest is null or not banyan_outbox_is_sent(oldest) then return false; end if;
      -- Somebody may have written there by hand.
      execute format('lock table only %s in access exclusive mode', oldest);
      if not banyan_outbox_is_sent(oldest) then return false; end if;
      execute format('drop table %s', oldest);
      return true;
    end $$;

    -- A step of either, by one process at a time.
    create function banyan_outbox_tidy() returns void language plpgsql as $$
    begin
      if not pg_try_advisory_xact_lock(1869968483, 'banyan_outbox_progress'::regclass::oid::int) then return; end if;
      if not banyan_outbox_drop() then perform banyan_outbox_roll(); end if;
    end $$;

    -- What older versions call: a relay to drop what is sent, a publisher for room ahead, which there always is.
    create or replace function banyan_outbox_trim(final bigint) returns boolean language plpgsql as $$
    begin
      perform banyan_outbox_tidy();
      return false;
    end $$;
    create or replace function banyan_outbox_extend(ahead bigint) returns void language sql as 'select';

    do $$
    declare
      old constant regclass := 'banyan_outbox';
      part regclass;
      is_empty boolean;
    begin
      lock table banyan_outbox in access exclusive mode;
      alter table banyan_outbox rename to banyan_outbox_parts;
      -- A relay from before bodies said all sends what it can read, again and again, until its lease ends. Without a key of their own it
      -- would take the keys of its other events for those of what it cannot read, and hold these back and not those behind them.
      alter table banyan_outbox_parts alter column key set default '';
      perform banyan_outbox_begin(old);
      for part in select inhrelid from pg_inherits where inhparent = old loop
        execute format('alter table %s detach partition %s', old, part);
        execute format('select not exists (select 1 from %s)', part) into is_empty;
        if is_empty then execute format('drop table %s', part);
        else execute format('alter table %s inherit banyan_outbox', part);
        end if;
      end loop;
      drop table banyan_outbox_parts;
    end $$;
  `,
}
