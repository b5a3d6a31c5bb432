import type { Migration } from '@banyan/core'

export const migrations: readonly Migration[] = [
  {
    id: '001-stock',
    sql: `
      create table stock (
        product_id    text primary key,
        on_hand       integer not null check (on_hand >= 0),
        available     integer not null check (available >= 0),
        reorder_point integer not null
      );
      create table reservations (
        reservation_id text primary key,
        order_id       text not null unique,
        items          text not null,
        status         text not null
      );
      create table erp_quarantine (
        record  text primary key,
        problem text not null
      );
    `,
  },
]
