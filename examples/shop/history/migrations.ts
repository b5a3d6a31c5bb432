import type { Migration } from '@banyan/core'

export const migrations: readonly Migration[] = [
  {
    id: '001-history',
    sql: `
      create table order_history (
        order_id    text primary key,
        customer_id text not null,
        total_cents integer not null,
        status      text not null,
        reason      text,
        shipped     integer not null default 0,
        notified    integer not null default 0
      );
      create index order_history_by_customer on order_history (customer_id, order_id);
    `,
  },
]
