import type { Migration } from '@banyan/core'

export const migrations: readonly Migration[] = [
  {
    id: '001-orders',
    sql: `
      create table orders (
        order_id         text primary key,
        customer_id      text not null,
        items            text not null,
        total_cents      integer not null check (total_cents >= 0),
        checkout         text not null,
        status           text not null,
        reason           text,
        cancel_requested integer not null default 0
      );
      create index orders_by_status on orders (status);
    `,
  },
]
