import type { Migration } from '@banyan/core'

export const migrations: readonly Migration[] = [
  {
    id: '001-users',
    sql: `
      create table users (
        user_id       text primary key,
        email         text not null unique,
        name          text not null,
        salt          text not null,
        password_hash text not null
      );
      create table signing_keys (
        key_id  text primary key,
        private text not null,
        public  text not null
      );
    `,
  },
]
