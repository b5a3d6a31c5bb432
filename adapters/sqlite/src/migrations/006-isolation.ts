import type { Migration } from '@banyan/core'

/** The tables behind `semanticLock` and `versionFile`. Times are milliseconds since 1970. */
export const isolation: Migration = {
  id: 'banyan-006-isolation',
  sql: `
    create table banyan_semantic_locks (
      entity text not null,
      id text not null,
      holder text not null,
      stash text,
      at integer not null,
      primary key (entity, id)
    ) strict, without rowid;
    create index banyan_semantic_locks_holder on banyan_semantic_locks (holder);

    -- How far the operations on an entity have been applied, and those that wait for one before them.
    create table banyan_version_files (
      entity text not null,
      id text not null,
      version integer not null,
      primary key (entity, id)
    ) strict, without rowid;
    create table banyan_version_operations (
      entity text not null,
      id text not null,
      version integer not null,
      operation text not null,
      at integer not null,
      primary key (entity, id, version)
    ) strict, without rowid;
  `,
}
