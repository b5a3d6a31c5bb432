import type { Migration } from '@banyan/core'

/** The tables of the bus; they may stand in a database of their own or in that of a service. Times are milliseconds since 1970. */
export const busMigrations: readonly Migration[] = [
  {
    id: 'banyan-bus-001',
    sql: `
      create sequence banyan_bus_position;

      create table banyan_bus_events (
        position bigint primary key,
        type text not null,
        partition smallint not null,
        stored_at bigint not null,
        raw text not null
      );

      -- The name of this very log: one that is made anew has another, so nobody takes its first events for those he knows by number.
      create table banyan_bus_log (id text primary key);
      insert into banyan_bus_log (id) values (substr(md5(random()::text || clock_timestamp()::text), 1, 8));

      -- One row for each subscription that lives; its process moves expires_at on.
      create table banyan_bus_members (
        member text primary key,
        handle text not null,
        group_name text not null,
        types text not null,
        expires_at bigint not null
      ) with (fillfactor = 50);
      create index banyan_bus_members_handle on banyan_bus_members (handle);

      -- Who handles a partition for a group, and how far it has come: {"order.placed": 12}. epoch grows with each owner, so that an
      -- owner who was taken for dead cannot move the positions of his heir.
      create table banyan_bus_partitions (
        group_name text not null,
        partition smallint not null,
        member text,
        epoch bigint not null,
        positions jsonb not null,
        primary key (group_name, partition)
      ) with (fillfactor = 50);
    `,
  },
]
