import { CodedError, type Component, type Database, databaseOf, type Refusal, refuse } from '@banyan/core'
import { publish } from '@banyan/messaging'
import { type User, userRegistered } from './contract.ts'
import { checkPassword, hashPassword } from './passwords.ts'

interface UserRow {
  user_id: string
  email: string
  name: string
  salt: string
  password_hash: string
}

/** Opens an account; refused when the e-mail has one. */
export async function register(database: Database, account: User & { password: string }): Promise<User | Refusal<'email-taken'>> {
  const { userId, email, name } = account
  const { salt, hash } = await hashPassword(account.password)
  return database.transaction(async (tx) => {
    const [added] = await tx.sql`
      insert into users (user_id, email, name, salt, password_hash)
      values (${userId}, ${email.toLowerCase()}, ${name}, ${salt}, ${hash})
      on conflict (email) do nothing returning user_id`
    if (!added) return refuse('email-taken', 'there is an account with this e-mail')
    const user: User = { userId, email: email.toLowerCase(), name }
    await publish(tx, userRegistered, user)
    return user
  })
}

/** The id of the account these credentials open. Takes as long for an unknown e-mail as for a wrong password. */
export async function verify(database: Database, email: string, password: string): Promise<string | undefined> {
  const [row] = await database.read((tx) => tx.sql<UserRow>`select * from users where email = ${email.toLowerCase()}`)
  const matches = await checkPassword(password, row ? { salt: row.salt, hash: row.password_hash } : NOBODY)
  return row && matches ? row.user_id : undefined
}

/** @throws `ERR_USER_UNKNOWN` */
export async function findUser(database: Database, userId: string): Promise<User> {
  const [row] = await database.read((tx) => tx.sql<UserRow>`select * from users where user_id = ${userId}`)
  if (!row) throw new CodedError('ERR_USER_UNKNOWN', `there is no user "${userId}"`, { status: 404 })
  return { userId: row.user_id, email: row.email, name: row.name }
}

/** The accounts one can try the shop with; the README names them. */
export const accounts: Component = {
  name: 'first-accounts',
  async start(context) {
    const database = databaseOf(context, 'first-accounts')
    for (const [email, name] of DEMO_ACCOUNTS) {
      const [known] = await database.read((tx) => tx.sql`select user_id from users where email = ${email}`)
      if (!known) await register(database, { userId: context.world.uuid(), email, name, password: DEMO_PASSWORD })
    }
  },
  async stop() {},
}

const DEMO_PASSWORD = 'banyan-shop'
const DEMO_ACCOUNTS = [
  ['ada@example.com', 'Ada'],
  ['grace@example.com', 'Grace'],
  ['alan@example.com', 'Alan'],
] as const

const NOBODY = { salt: '00'.repeat(16), hash: '00'.repeat(32) }
