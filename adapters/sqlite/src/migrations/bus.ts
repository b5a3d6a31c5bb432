import type { Migration } from '@banyan/core'

/** The tables of the embedded bus, in a file of their own. */
export const busMigrations: readonly Migration[] = [
  {
    id: '001-bus',
    sql: `
      -- One writer at a time draws the positions, so their order is the order of the commits and no reader can miss a late one.
      create table banyan_bus_events (
        position integer primary key autoincrement,
        type text not null,
        partition integer not null,
        stored_at integer not null,
        id text not null,
        subject text not null,
        raw text not null
      );

      -- One row for each subscription that lives; its process moves expires_at on.
      create table banyan_bus_members (
        member text primary key,
        handle text not null,
        group_name text not null,
        types text not null,
        expires_at integer not null
      ) without rowid;

      -- Who handles a partition for a group, and how far it has come: {"order.placed": 12}. epoch grows with each owner, so that
      -- an owner who was taken for dead cannot move the positions of his heir.
      create table banyan_bus_partitions (
        group_name text not null,
        partition integer not null,
        member text,
        epoch integer not null,
        positions text not null,
        primary key (group_name, partition)
      ) without rowid;
    `,
  },
  {
    id: '002-bus-log',
    sql: `
      -- The name of this very log: one that is made anew has another, so nobody takes its first events for those he knows by number.
      create table banyan_bus_log (id text primary key) without rowid;
      insert into banyan_bus_log (id) values (lower(hex(randomblob(4))));
    `,
  },
]
