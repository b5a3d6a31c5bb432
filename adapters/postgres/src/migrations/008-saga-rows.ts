import type { Migration } from '@banyan/core'

const SETTINGS = 'set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan'

/**
 * A saga's history in its own row while it is short, so that a step writes one row of one table and one index less. A batch of them is told
 * how many it is given, as to count them would be to read the JSON once more. The functions of the version before stay for its processes.
 */
export const sagaRows: Migration = {
  id: 'banyan-008-saga-rows',
  sql: `
    -- What "banyan_saga_history" has not: JSON arrays [revision, step, action, outcome, attempt, code, message, status, worker, started_at,
    -- at], each behind a comma.
    alter table banyan_sagas add column history text not null default '';

    -- A process of an older version would archive a saga without it; it tries again later. Who knows of it says so.
    create function banyan_saga_keep_history() returns trigger language plpgsql as $$
    begin
      raise exception 'the history of this saga is in its row: a process of a newer version archives it';
    end $$;
    create trigger banyan_sagas_history before delete on banyan_sagas for each row
      when (old.history <> '' and current_setting('banyan.archives_history', true) is distinct from 'yes')
      execute function banyan_saga_keep_history();

    create function banyan_saga_lines(history text)
      returns table (revision integer, step text, action text, outcome text, attempt integer, code text, message text, status text,
        worker text, started_at bigint, at bigint) language sql immutable
    as $$
      select (l->>0)::integer, l->>1, l->>2, l->>3, (l->>4)::integer, l->>5, l->>6, l->>7, l->>8, (l->>9)::bigint, (l->>10)::bigint
      from json_array_elements(('[' || substr(history, 2) || ']')::json) as l
    $$;

    -- Moves the history out of a row that this transaction has written.
    create function banyan_saga_unload(saga_id text) returns void language plpgsql as $$
    begin
      insert into banyan_saga_history (saga, revision, step, action, outcome, attempt, code, message, status, worker, started_at, at)
        select s.id, l.* from banyan_sagas s cross join lateral banyan_saga_lines(s.history) as l where s.id = saga_id;
      update banyan_sagas s set history = '' where s.id = saga_id;
    end $$;

    -- Which of these this transaction has moved.
    create function banyan_saga_moved(advances json) returns table (n integer, id text, enough boolean) language sql
    as $$
      select a.n, a.id, a.enough
      from json_to_recordset(advances) as a (n integer, id text, revision integer, enough boolean)
      join banyan_sagas s on s.id = a.id and s.revision = a.revision + 1 and s.xmin = pg_current_xact_id()::xid
    $$;

    -- Moves sagas on, "given" of them, and writes their history; unloads that of those that have enough, where there are any. Gives the
    -- numbers of those that moved; null: all have.
    create function banyan_saga_advance(advances json, given integer, unloads boolean) returns json language plpgsql ${SETTINGS}
    as $$
    declare
      moved integer;
      numbers json;
    begin
      update banyan_sagas s set status = a.status, live = a.live, step = a.step, state = a.state,
        results = coalesce(a.results, s.results), output = coalesce(a.output, s.output), input = coalesce(a.input, s.input),
        version = coalesce(a.version, s.version), owner = case when a.parked then null else s.owner end,
        epoch = case when a.parked then 0 else s.epoch end, claims = case when a.parked then 0 else s.claims end,
        wake_at = a.wake_at, channel = a.channel, revision = s.revision + 1, updated_at = a.at,
        ended_at = case when a.status in ('completed', 'compensated') then a.at end, history = s.history || a.line
        from json_to_recordset(advances) as a (id text, owner text, epoch integer, revision integer, status text, live boolean,
          parked boolean, step text, state text, results text, output text, input text, version integer, wake_at bigint, channel text,
          at bigint, line text)
        where s.id = a.id and s.owner = a.owner and s.epoch = a.epoch and s.revision = a.revision;
      get diagnostics moved = row_count;
      if moved < given then
        -- A "returning" would say it too, and cost each batch what only this one pays.
        select coalesce(json_agg(m.n), '[]') into numbers from banyan_saga_moved(advances) as m;
      end if;
      if unloads then
        perform banyan_saga_unload(m.id) from banyan_saga_moved(advances) as m where m.enough;
      end if;
      return numbers;
    end $$;

    -- Moves a saga on and writes its history; unloads it if it has enough. Whether it moved.
    create function banyan_saga_advance_alone(old_id text, old_owner text, old_epoch integer, old_revision integer, new_status text,
        new_live boolean, is_parked boolean, new_step text, new_state text, new_results text, new_output text, new_input text,
        new_version integer, new_wake_at bigint, new_channel text, new_at bigint, line text, has_enough boolean)
      returns boolean language plpgsql ${SETTINGS}
    as $$
    begin
      update banyan_sagas s set status = new_status, live = new_live, step = new_step, state = new_state,
        results = coalesce(new_results, s.results), output = coalesce(new_output, s.output), input = coalesce(new_input, s.input),
        version = coalesce(new_version, s.version), owner = case when is_parked then null else s.owner end,
        epoch = case when is_parked then 0 else s.epoch end, claims = case when is_parked then 0 else s.claims end,
        wake_at = new_wake_at, channel = new_channel, revision = s.revision + 1, updated_at = new_at,
        ended_at = case when new_status in ('completed', 'compensated') then new_at end, history = s.history || line
        where s.id = old_id and s.owner = old_owner and s.epoch = old_epoch and s.revision = old_revision;
      if not found then
        return false;
      end if;
      if has_enough then
        perform banyan_saga_unload(old_id);
      end if;
      return true;
    end $$;
  `,
}
