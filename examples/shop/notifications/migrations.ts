import type { Migration } from '@banyan/core'

export const migrations: readonly Migration[] = [
  {
    id: '001-notifications',
    sql: `
      create table notifications (
        notification_id text primary key,
        customer_id     text not null,
        order_id        text not null,
        kind            text not null,
        text            text not null
      );
      create index notifications_by_customer on notifications (customer_id, notification_id);
    `,
  },
]
