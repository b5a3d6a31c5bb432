// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// A service's database
export { postgres } from './database.ts'
export type { PostgresOptions } from './settings.ts'
export { isServiceUrl } from './service-url.ts'
export type { Listener, PostgresDatabase } from './postgres-database.ts'
export type { Statement } from './connection.ts'
export type { PostgresValue } from './values.ts'

// Your own data layer's transactions
export { fromPg } from './from-pg.ts'
export type { PgClient } from './from-pg.ts'
export { fromKysely } from './from-kysely.ts'
export type { KyselyQuery, KyselyTransaction } from './from-kysely.ts'
export { fromDrizzle } from './from-drizzle.ts'
export type { DrizzleSql, DrizzleTransaction } from './from-drizzle.ts'
export { fromPrisma } from './from-prisma.ts'
export type { PrismaTransaction } from './from-prisma.ts'
export type { ForeignOptions, ForeignTransaction } from './foreign.ts'

// A bus between services, for teams with nothing else
export { postgresBus } from './bus.ts'
export type { PostgresBusOptions } from './bus.ts'

// What goes wrong
export { PostgresError, ServerError } from './postgres-error.ts'
export type { BrokenConstraint, PostgresErrorCode } from './postgres-error.ts'
