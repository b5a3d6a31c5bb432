import type { Migration } from '@banyan/core'

/**
 * What makes a forgotten `flush` loud: a row that refers to a table which is always empty, and a check of that at COMMIT. `flush` takes the
 * row away; a transaction in which it is still there cannot commit.
 */
export const foreign: Migration = {
  id: 'banyan-000-foreign',
  sql: `
    create table banyan_flushed (id integer primary key);
    create table banyan_unflushed (
      call integer not null,
      constraint "banyan: call flush() before COMMIT" foreign key (call) references banyan_flushed (id) deferrable initially deferred
    );
  `,
}
