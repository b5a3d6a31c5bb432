import type { Migration } from '@banyan/core'

/** The tables behind `startSaga`, `runSagas`, `participant` and `sagas`. Times are milliseconds since 1970. */
export const saga: Migration = {
  id: 'banyan-002-saga',
  sql: `
    -- "live": somebody should run it, which is neither finished nor stuck. It changes twice in a life, so its indexes are quiet.
    create table banyan_sagas (
      id text primary key,
      name text not null,
      version integer not null,
      key text not null,
      status text not null check (status in ('running', 'undoing', 'waiting', 'stuck', 'completed', 'compensated')),
      live integer not null check (live in (0, 1)),
      step text,
      state text not null,
      input text not null,
      results text not null,
      output text,
      owner text,
      epoch integer not null,
      revision integer not null,
      claims integer not null,
      traceparent text,
      tracestate text,
      created_at integer not null,
      updated_at integer not null,
      unique (name, key)
    ) strict, without rowid;
    create index banyan_sagas_live on banyan_sagas (owner, epoch) where live = 1;
    create index banyan_sagas_stuck on banyan_sagas (name, version) where status = 'stuck';

    -- One row an identity. The epoch fences: sagas with a lower one than their owner's row belong to nobody.
    create table banyan_saga_workers (
      id text primary key,
      epoch integer not null,
      expires_at integer not null
    ) strict, without rowid;

    -- JSON: the steps of each definition, as the last worker had it.
    create table banyan_saga_definitions (
      name text not null,
      version integer not null,
      shape text not null,
      primary key (name, version)
    ) strict, without rowid;

    create table banyan_saga_history (
      id integer primary key,
      saga text not null,
      step text not null,
      action text not null check (action in ('do', 'undo', 'park')),
      outcome text not null check (outcome in ('done', 'refused', 'failed')),
      attempt integer not null,
      code text,
      message text,
      status text not null,
      worker text not null,
      started_at integer not null,
      at integer not null
    ) strict;
    create index banyan_saga_history_saga on banyan_saga_history (saga);

    create table banyan_saga_audit (
      id integer primary key autoincrement,
      saga text not null,
      action text not null check (action in ('retry', 'skip', 'undo')),
      step text not null,
      decided_by text not null,
      why text not null,
      at integer not null
    ) strict;
    create index banyan_saga_audit_saga on banyan_saga_audit (saga);

    create table banyan_participants (
      key text primary key,
      operation text not null,
      state text not null check (state in ('done', 'refused', 'undone', 'cancelled')),
      fingerprint text,
      result text,
      at integer not null
    ) strict, without rowid;
    create index banyan_participants_age on banyan_participants (at);
  `,
}
