import type { Migration } from '@banyan/core'

const SETTINGS = 'set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan'

/** A start and a step by themselves, as most are where little goes on: as JSON of one row they would cost the server half as much again. */
export const sagaAlone: Migration = {
  id: 'banyan-007-saga-alone',
  sql: `
    -- Adds a saga if its name and key are new. Gives the id that is there then; null: it was new.
    create function banyan_saga_start_alone(new_id text, new_name text, new_version integer, new_key text, new_status text, new_live boolean,
        new_step text, new_state text, new_input text, new_owner text, new_epoch integer, new_wake_at bigint, new_channel text,
        new_report text, new_traceparent text, new_tracestate text, new_at bigint)
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
      end if;
      return archived;
    end $$;

    -- Moves a saga on and writes its history. Whether it moved.
    create function banyan_saga_advance_alone(old_id text, old_owner text, old_epoch integer, old_revision integer, new_status text,
        new_live boolean, is_parked boolean, new_step text, new_state text, new_results text, new_output text, new_input text,
        new_version integer, new_wake_at bigint, new_channel text, did text, action text, outcome text, attempt integer, code text,
        message text, worker text, started_at bigint, new_at bigint)
      returns boolean language plpgsql ${SETTINGS}
    as $$
    begin
      update banyan_sagas s set status = new_status, live = new_live, step = new_step, state = new_state,
        results = coalesce(new_results, s.results), output = coalesce(new_output, s.output), input = coalesce(new_input, s.input),
        version = coalesce(new_version, s.version), owner = case when is_parked then null else s.owner end,
        epoch = case when is_parked then 0 else s.epoch end, claims = case when is_parked then 0 else s.claims end,
        wake_at = new_wake_at, channel = new_channel, revision = s.revision + 1, updated_at = new_at,
        ended_at = case when new_status in ('completed', 'compensated') then new_at end
        where s.id = old_id and s.owner = old_owner and s.epoch = old_epoch and s.revision = old_revision;
      if not found then
        return false;
      end if;
      insert into banyan_saga_history (saga, revision, step, action, outcome, attempt, code, message, status, worker, started_at, at)
        values (old_id, old_revision + 1, did, action, outcome, attempt, code, message, new_status, worker, started_at, new_at);
      return true;
    end $$;
  `,
}
