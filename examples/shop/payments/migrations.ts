import type { Migration } from '@banyan/core'

export const migrations: readonly Migration[] = [
  {
    id: '001-payments',
    sql: `
      create table payments (
        payment_id   text primary key,
        order_id     text not null unique,
        amount_cents integer not null check (amount_cents >= 0),
        checkout     text not null,
        status       text not null
      );
      create index payments_by_status on payments (status);
    `,
  },
]
