import type { Migration } from '@banyan/core'

const SAGA =
  'id, name, version, key, status, live, step, state, input, results, output, owner, epoch, revision, claims, wake_at, channel, report, traceparent, tracestate, created_at, updated_at'
const ARCHIVED =
  'id, name, version, key, status, state, input, results, output, owner, epoch, revision, claims, report, traceparent, tracestate, created_at, updated_at, history'

/**
 * Sagas in rows that stay in one page: a table without row ids keeps 1 KB of a row there and gives the rest a page of its own, which
 * each step wrote again. And a saga's history in its own row while it is short, so that a step writes one page instead of two.
 *
 * @see "The WITHOUT ROWID Optimization", SQLite's documentation: not for rows larger than a twentieth of a page
 */
export const sagaRows: Migration = {
  id: 'banyan-008-saga-rows',
  sql: `
    create table banyan_sagas_next (
      id text primary key not null,
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
      wake_at integer,
      channel text,
      report text,
      traceparent text,
      tracestate text,
      created_at integer not null,
      updated_at integer not null,
      -- What "banyan_saga_history" has not: JSON arrays [revision, step, action, outcome, attempt, code, message, status, worker,
      -- started_at, at], each behind a comma.
      history text not null default '',
      unique (name, key)
    ) strict;
    insert into banyan_sagas_next (${SAGA}) select ${SAGA} from banyan_sagas order by id;
    drop table banyan_sagas;
    alter table banyan_sagas_next rename to banyan_sagas;
    create index banyan_sagas_live on banyan_sagas (owner, epoch, id) where live = 1;
    create index banyan_sagas_stuck on banyan_sagas (name, version) where status = 'stuck';
    create index banyan_sagas_wake on banyan_sagas (wake_at) where wake_at is not null;
    create index banyan_sagas_channel on banyan_sagas (channel) where channel is not null;
    create index banyan_sagas_finished on banyan_sagas (updated_at) where status in ('completed', 'compensated');

    -- A process of an older version would archive a saga without it; it tries again later, and one of a newer version is faster.
    create trigger banyan_sagas_history before delete on banyan_sagas when old.history <> ''
      begin select raise(abort, 'the history of this saga is in its row: a process of a newer version archives it'); end;

    create table banyan_saga_archive_next (
      id text primary key not null,
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
    ) strict;
    insert into banyan_saga_archive_next (${ARCHIVED}) select ${ARCHIVED} from banyan_saga_archive order by id;
    drop table banyan_saga_archive;
    alter table banyan_saga_archive_next rename to banyan_saga_archive;
  `,
}
