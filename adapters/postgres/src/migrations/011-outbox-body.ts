import type { Migration } from '@banyan/core'

/**
 * The body of an event says all of it, and less of it twice: type, key and time stand there alone. A publisher of an older version still
 * writes them, and works on. A relay of an older version reads neither such bodies nor the lock that appenders hold since; the table that it
 * takes its leases from has another name now, so it stops, and says so, instead of passing events over.
 */
export const outboxBody: Migration = {
  id: 'banyan-011-outbox-body',
  sql: `
    alter table banyan_outbox alter column type drop not null, alter column key drop not null, alter column time drop not null;

    alter table banyan_outbox_lease rename to banyan_outbox_progress;

    create or replace function banyan_outbox_trim(final bigint) returns boolean language plpgsql as $$
    declare
      size constant bigint := 1048576;
      oldest bigint;
      unsent boolean;
    begin
      if not pg_try_advisory_xact_lock(1869968483, 'banyan_outbox'::regclass::oid::int) then return false; end if;
      select min(substring(c.relname from '\\d+$')::bigint) into oldest
        from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'banyan_outbox'::regclass;
      if oldest is null or (oldest + 1) * size > final then return false; end if;
      execute format('select exists (select 1 from banyan_outbox_progress l where exists (
        select 1 from banyan_outbox_%s o where o.part = l.partition and o.position > l.done))', oldest) into unsent;
      if unsent then return false; end if;
      execute format('drop table banyan_outbox_%s', oldest);
      return true;
    end $$;
  `,
}
