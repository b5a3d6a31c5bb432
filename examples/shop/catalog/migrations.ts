import type { Migration } from '@banyan/core'

export const migrations: readonly Migration[] = [
  {
    id: '001-products',
    sql: `
      create table products (
        product_id  text primary key,
        name        text not null,
        price_cents integer not null check (price_cents >= 0)
      );
    `,
  },
]
