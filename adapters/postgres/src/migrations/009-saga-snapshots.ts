import type { Migration } from '@banyan/core'

/**
 * How many rows stand for all channels; a power of two. Channels that share one wait for each other, and with a snapshot that was there
 * before the other one's turn, run once more for nothing: with many that is seldom.
 */
const BUCKETS = 4_096

/** The first of the two numbers of this store's advisory locks; nothing else uses it. */
const LOCKS = 1_002

/** By indexes, however small the tables: where SERIALIZABLE reads a table as a whole, every write to it beside this one is a conflict. */
const SETTINGS = 'set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan'

/** What sends signals and starts sagas out of a snapshot that is older than what it meets: transactions of other data layers. */
export const sagaSnapshots: Migration = {
  id: 'banyan-009-saga-snapshots',
  sql: `
    -- What holds a channel: see saga-signals.ts. "turns": how often it was held. Rows come as they are needed and stay. Nearly all of a page
    -- is for their next versions, so that these stay in it (HOT).
    create table banyan_saga_channels (
      bucket integer primary key,
      turns bigint not null
    ) with (fillfactor = 10);

    -- Holds a channel until the end of the transaction. The advisory lock is what versions without the table (before this migration) hold:
    -- when none of them can run beside this one any more, it goes. Behind the row, so that those that share a row never wait for each other here.
    create function banyan_saga_hold(held text) returns void language plpgsql ${SETTINGS}
    as $$
    begin
      insert into banyan_saga_channels as c (bucket, turns) values (hashtext(held) & ${BUCKETS - 1}, 1)
        on conflict (bucket) do update set turns = c.turns + 1;
      perform pg_advisory_xact_lock(${LOCKS}, hashtext(held));
    end $$;

    -- Keeps a signal and wakes who waits for it. False: there is one of its id.
    create function banyan_saga_send(new_id text, to_channel text, new_body text, new_at bigint) returns boolean language plpgsql ${SETTINGS}
    as $$
    begin
      perform banyan_saga_hold(to_channel);
      insert into banyan_saga_signals (id, channel, body, sent_at) values (new_id, to_channel, new_body, new_at) on conflict (id) do nothing;
      if not found then
        return false;
      end if;
      update banyan_sagas set live = true, wake_at = null, channel = null where channel = to_channel;
      return true;
    end $$;

    -- Takes the oldest signal of a channel, which is held either way.
    create function banyan_saga_take(of_channel text, by_saga text) returns setof banyan_saga_signals language plpgsql ${SETTINGS}
    as $$
    begin
      perform banyan_saga_hold(of_channel);
      return query update banyan_saga_signals s set taken_by = by_saga
        where s.position = (select min(o.position) from banyan_saga_signals o where o.channel = of_channel and o.taken_by is null)
        returning s.*;
    end $$;

    -- Refuses (40001) where the key is in the archive and this transaction's snapshot is too old to see it: a unique index sees it. Leaves
    -- nothing.
    create function banyan_saga_probe(probe text, probe_name text, probe_key text) returns void language plpgsql ${SETTINGS}
    as $$
    begin
      insert into banyan_saga_archive (id, name, version, key, status, state, input, results, epoch, revision, claims, created_at,
          updated_at, history)
        values (probe, probe_name, 0, probe_key, '', '', '', '', 0, 0, 0, 0, 0, '') on conflict (name, key) do nothing;
      delete from banyan_saga_archive a where a.id = probe;
    end $$;

    -- Adds a saga if its name and key are new. Gives the id that is there then; null: it was new. As before, but for the probe.
    create or replace function banyan_saga_start_alone(new_id text, new_name text, new_version integer, new_key text, new_status text,
        new_live boolean, new_step text, new_state text, new_input text, new_owner text, new_epoch integer, new_wake_at bigint,
        new_channel text, new_report text, new_traceparent text, new_tracestate text, new_at bigint)
      returns text language plpgsql ${SETTINGS}
    as $$
    declare
      archived text;
    begin
      insert into banyan_sagas (id, name, version, key, status, live, step, state, input, results, owner, epoch, revision, claims,
          wake_at, channel, report, traceparent, tracestate, created_at, updated_at, ended_at)
        values (new_id, new_name, new_version, new_key, new_status, new_live, new_step, new_state, new_input, '{}', new_owner, new_epoch, 0,
          case when new_owner is null then 0 else 1 end, new_wake_at, new_channel, new_report, new_traceparent, new_tracestate, new_at,
          new_at, case when new_status in ('completed', 'compensated') then new_at end)
        on conflict (name, key) do nothing;
      if not found then
        return coalesce((select s.id from banyan_sagas s where s.name = new_name and s.key = new_key),
          (select a.id from banyan_saga_archive a where a.name = new_name and a.key = new_key), new_id);
      end if;
      -- Not before: a saga of the key that is on its way to the archive is waited for by the insert. See "retire" in saga-store.ts.
      select a.id into archived from banyan_saga_archive a where a.name = new_name and a.key = new_key;
      if found then
        delete from banyan_sagas s where s.id = new_id;
      elsif current_setting('transaction_isolation') = 'repeatable read' then
        -- The others need none: READ COMMITTED has just looked afresh, SERIALIZABLE is watched together with "retire".
        perform banyan_saga_probe(new_id, new_name, new_key);
      end if;
      return archived;
    end $$;
  `,
}
