import type { Migration } from '@banyan/core'

export const migrations: readonly Migration[] = [
  {
    id: '001-shipments',
    sql: `
      create table shipments (
        shipment_id text primary key,
        order_id    text not null unique,
        customer_id text not null,
        tracking    text not null
      );
    `,
  },
]
