import type { Migration } from '@banyan/core'

/** Parked sagas, signals, children and the archive. Times are milliseconds since 1970. */
export const sagaEngine: Migration = {
  id: 'banyan-004-saga-engine',
  sql: `
    -- A parked saga is not live and has no owner. "wake_at" and "channel" are set while it is parked, and only then.
    alter table banyan_sagas add column wake_at integer;
    alter table banyan_sagas add column channel text;
    alter table banyan_sagas add column report text;
    create index banyan_sagas_wake on banyan_sagas (wake_at) where wake_at is not null;
    create index banyan_sagas_channel on banyan_sagas (channel) where channel is not null;
    create index banyan_sagas_finished on banyan_sagas (updated_at) where status in ('completed', 'compensated');

    alter table banyan_saga_workers add column lease_ms integer not null default 0;

    -- One row an advance, in the order of the saga's revisions: one tree to write to instead of two.
    alter table banyan_saga_history rename to banyan_saga_history_old;
    create table banyan_saga_history (
      saga text not null,
      revision integer not null,
      step text not null,
      action text not null,
      outcome text not null,
      attempt integer not null,
      code text,
      message text,
      status text not null,
      worker text not null,
      started_at integer not null,
      at integer not null,
      primary key (saga, revision)
    ) strict, without rowid;
    insert into banyan_saga_history
      select saga, row_number() over (partition by saga order by id) - count(*) over (partition by saga), step, action, outcome,
        attempt, code, message, status, worker, started_at, at
      from banyan_saga_history_old;
    drop table banyan_saga_history_old;

    alter table banyan_saga_audit rename to banyan_saga_audit_old;
    create table banyan_saga_audit (
      id integer primary key autoincrement,
      saga text not null,
      action text not null,
      step text not null,
      decided_by text not null,
      why text not null,
      detail text,
      at integer not null
    ) strict;
    insert into banyan_saga_audit (id, saga, action, step, decided_by, why, at)
      select id, saga, action, step, decided_by, why, at from banyan_saga_audit_old;
    drop table banyan_saga_audit_old;
    create index banyan_saga_audit_saga on banyan_saga_audit (saga);

    create table banyan_saga_signals (
      position integer primary key autoincrement,
      id text not null unique,
      channel text not null,
      body text not null,
      taken_by text,
      sent_at integer not null
    ) strict;
    create index banyan_saga_signals_open on banyan_saga_signals (channel, position) where taken_by is null;
    create index banyan_saga_signals_age on banyan_saga_signals (sent_at);

    -- Finished sagas. "history": JSON.
    create table banyan_saga_archive (
      id text primary key,
      name text not null,
      version integer not null,
      key text not null,
      status text not null,
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
      created_at integer not null,
      updated_at integer not null,
      history text not null,
      unique (name, key)
    ) strict, without rowid;
  `,
}
