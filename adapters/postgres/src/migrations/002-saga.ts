import type { Migration } from '@banyan/core'

/**
 * The tables and functions behind `startSaga`, `runSagas`, `participant` and `sagas`. Times are milliseconds since 1970.
 *
 * A saga's row moves at each step, within its page (HOT): no index holds what changes then, and the fill factor leaves room for the next
 * version. Functions, because their settings keep every access on an index: a plan made while a table was small would read all of it
 * when it has grown.
 */
export const saga: Migration = {
  id: 'banyan-002-saga',
  sql: `
    -- "live": somebody should run it: neither finished, nor stuck, nor parked. A parked saga has no owner; "wake_at" and "channel" are set
    -- while it is parked, and only then. Without an owner the epoch is 0. "ended_at": of a finished one; "updated_at" moves too often for
    -- an index.
    create table banyan_sagas (
      id text collate "C" primary key,
      name text collate "C" not null,
      version integer not null,
      key text collate "C" not null,
      status text collate "C" not null check (status in ('running', 'undoing', 'waiting', 'stuck', 'completed', 'compensated')),
      live boolean not null,
      step text,
      state text not null,
      input text not null,
      results text not null,
      output text,
      owner text collate "C",
      epoch integer not null,
      revision integer not null,
      claims integer not null,
      wake_at bigint,
      channel text collate "C",
      report text,
      traceparent text,
      tracestate text,
      created_at bigint not null,
      updated_at bigint not null,
      ended_at bigint,
      unique (name, key)
    ) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
    create index banyan_sagas_live on banyan_sagas (name, version, owner, epoch, id) where live;
    create index banyan_sagas_wake on banyan_sagas (name, version, wake_at, id) where wake_at is not null;
    create index banyan_sagas_channel on banyan_sagas (channel) where channel is not null;
    create index banyan_sagas_stuck on banyan_sagas (name, version) where status = 'stuck';
    create index banyan_sagas_ended on banyan_sagas (ended_at) where ended_at is not null;

    -- One row an identity. The epoch fences: sagas with a lower one than their owner's row belong to nobody.
    create table banyan_saga_workers (
      id text collate "C" primary key,
      epoch integer not null,
      expires_at bigint not null,
      lease_ms bigint not null
    ) with (fillfactor = 50);

    -- JSON: the steps of each definition, as the last worker had it.
    create table banyan_saga_definitions (
      name text collate "C" not null,
      version integer not null,
      shape text not null,
      primary key (name, version)
    );

    create table banyan_saga_history (
      saga text collate "C" not null,
      revision integer not null,
      step text not null,
      action text not null,
      outcome text not null,
      attempt integer not null,
      code text,
      message text,
      status text not null,
      worker text not null,
      started_at bigint not null,
      at bigint not null,
      primary key (saga, revision)
    );

    create table banyan_saga_audit (
      id bigint generated always as identity primary key,
      saga text collate "C" not null,
      action text not null,
      step text not null,
      decided_by text not null,
      why text not null,
      detail text,
      at bigint not null
    );
    create index banyan_saga_audit_saga on banyan_saga_audit (saga);

    create table banyan_saga_signals (
      position bigint generated always as identity primary key,
      id text collate "C" not null unique,
      channel text collate "C" not null,
      body text not null,
      taken_by text,
      sent_at bigint not null
    );
    create index banyan_saga_signals_open on banyan_saga_signals (channel, position) where taken_by is null;
    create index banyan_saga_signals_age on banyan_saga_signals (sent_at);

    -- Finished sagas. "history": JSON.
    create table banyan_saga_archive (
      id text collate "C" primary key,
      name text collate "C" not null,
      version integer not null,
      key text collate "C" not null,
      status text collate "C" not null,
      state text not null,
      input text not null,
      results text not null,
      output text,
      owner text,
      epoch integer not null,
      revision integer not null,
      claims integer not null,
      report text,
      traceparent text,
      tracestate text,
      created_at bigint not null,
      updated_at bigint not null,
      history text not null,
      unique (name, key)
    );

    create table banyan_participants (
      key text collate "C" primary key,
      operation text not null,
      state text not null check (state in ('done', 'refused', 'undone', 'cancelled')),
      fingerprint text,
      result text,
      at bigint not null
    ) with (fillfactor = 80);
    create index banyan_participants_age on banyan_participants (at);

    -- Adds sagas whose name and key are new. Gives the ids that are there then, in order; null: all were new.
    create function banyan_saga_start(starts json) returns json language plpgsql
      set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
    as $$
    declare
      added integer;
      archived integer;
    begin
      insert into banyan_sagas (id, name, version, key, status, live, step, state, input, results, owner, epoch, revision, claims,
          wake_at, channel, report, traceparent, tracestate, created_at, updated_at, ended_at)
        select n.id, n.name, n.version, n.key, n.status, n.live, n.step, n.state, n.input, '{}', n.owner, n.epoch, 0,
          case when n.owner is null then 0 else 1 end, n.wake_at, n.channel, n.report, n.traceparent, n.tracestate, n.at, n.at,
          case when n.status in ('completed', 'compensated') then n.at end
        from json_to_recordset(starts) as n (id text, name text, version integer, key text, status text, live boolean, step text,
          state text, input text, owner text, epoch integer, wake_at bigint, channel text, report text, traceparent text,
          tracestate text, at bigint)
        on conflict (name, key) do nothing;
      get diagnostics added = row_count;
      -- Not before: a saga of the key that is on its way to the archive is waited for by the insert. See "retire" in saga-store.ts.
      delete from banyan_sagas s using json_to_recordset(starts) as n (id text, name text, key text), banyan_saga_archive a
        where a.name = n.name and a.key = n.key and s.id = n.id;
      get diagnostics archived = row_count;
      if archived = 0 and added = json_array_length(starts) then
        return null;
      end if;
      return (select json_agg(coalesce(s.id, a.id, n.id) order by n.n)
        from json_to_recordset(starts) as n (n integer, id text, name text, key text)
        left join banyan_sagas s on s.name = n.name and s.key = n.key
        left join banyan_saga_archive a on a.name = n.name and a.key = n.key);
    end $$;

    -- Moves sagas on and writes their history. Gives the numbers of those that moved; null: all have.
    create function banyan_saga_advance(advances json) returns json language plpgsql
      set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
    as $$
    declare
      numbers json;
      moved integer;
    begin
      with m as (
        update banyan_sagas s set status = a.status, live = a.live, step = a.step, state = a.state,
          results = coalesce(a.results, s.results), output = coalesce(a.output, s.output), input = coalesce(a.input, s.input),
          version = coalesce(a.version, s.version), owner = case when a.parked then null else s.owner end,
          epoch = case when a.parked then 0 else s.epoch end, claims = case when a.parked then 0 else s.claims end,
          wake_at = a.wake_at, channel = a.channel, revision = s.revision + 1, updated_at = a.at,
          ended_at = case when a.status in ('completed', 'compensated') then a.at end
        from json_to_recordset(advances) as a (n integer, id text, owner text, epoch integer, revision integer, status text, live boolean,
          parked boolean, step text, state text, results text, output text, input text, version integer, wake_at bigint, channel text,
          did text, action text, outcome text, attempt integer, code text, message text, worker text, started_at bigint, at bigint)
        where s.id = a.id and s.owner = a.owner and s.epoch = a.epoch and s.revision = a.revision
        returning a.n, s.id, s.revision, a.did, a.action, a.outcome, a.attempt, a.code, a.message, a.status, a.worker, a.started_at, a.at
      ), h as (
        insert into banyan_saga_history (saga, revision, step, action, outcome, attempt, code, message, status, worker, started_at, at)
          select id, revision, did, action, outcome, attempt, code, message, status, worker, started_at, at from m
      )
      select count(*), json_agg(n) into moved, numbers from m;
      return case when moved = json_array_length(advances) then null else coalesce(numbers, '[]') end;
    end $$;

    -- Sagas that nobody runs and somebody should, at most "most": the oldest ids first among those of one owner's epoch.
    create function banyan_saga_open(definitions json, now_ms bigint, most integer)
      returns table (id text, revision integer) language plpgsql stable
      set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
    as $$
    #variable_conflict use_column
    begin
      return query
        select o.id, o.revision
        from json_to_recordset(definitions) as d (name text, version integer)
        cross join lateral (
          (select s.id, s.revision from banyan_sagas s
            where s.live and s.name = d.name and s.version = d.version and s.owner is null and s.epoch = 0
            order by s.owner, s.epoch, s.id limit most)
          union all
          (select s.id, s.revision from banyan_saga_workers w cross join lateral (
            select l.id, l.revision from banyan_sagas l
            where l.live and l.name = d.name and l.version = d.version and l.owner = w.id and l.epoch < w.epoch
            order by l.epoch, l.id limit most) s)
          union all
          (select s.id, s.revision from banyan_sagas s
            where s.name = d.name and s.version = d.version and s.wake_at <= now_ms order by s.wake_at, s.id limit most)
        ) o
        order by o.id limit most;
    end $$;

    -- Fences workers whose lease is over, then gives sagas that are open to this one.
    create function banyan_saga_claim(self text, self_epoch integer, definitions json, now_ms bigint, slack_ms bigint, most integer)
      returns setof banyan_sagas language plpgsql
      set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
    as $$
    declare
      tried integer := most;
      ids text[];
      revisions integer[];
      taken text[];
    begin
      update banyan_saga_workers w set epoch = w.epoch + 1, expires_at = 0
        where w.expires_at > 0 and (w.expires_at <= now_ms or w.expires_at > now_ms + slack_ms + w.lease_ms)
          and not (w.id = self and w.epoch = self_epoch);
      -- Held, so that whoever declares this worker dead sees all that it has taken.
      perform 1 from banyan_saga_workers w where w.id = self and w.epoch = self_epoch for share;
      if not found then
        return;
      end if;
      loop
        select array_agg(o.id), array_agg(o.revision) into ids, revisions from banyan_saga_open(definitions, now_ms, tried) o;
        -- Passes over what another one is taking at this moment.
        select array_agg(t.id) into taken from (
          select s.id from unnest(ids, revisions) as o (id, revision) join banyan_sagas s on s.id = o.id and s.revision = o.revision
          order by s.id limit most for update of s skip locked) t;
        exit when coalesce(cardinality(taken), 0) >= most or coalesce(cardinality(ids), 0) < tried;
        tried := tried * 8;
      end loop;
      return query
        update banyan_sagas s set owner = self, epoch = self_epoch, claims = s.claims + 1, revision = s.revision + 1, live = true,
          wake_at = null, channel = null
        where s.id = any(taken) returning s.*;
    end $$;
  `,
}
