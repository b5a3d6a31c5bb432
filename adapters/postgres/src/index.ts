// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// A service's database
export { postgres } from './database.ts'
export type { PostgresOptions } from './settings.ts'
export type { Listener, PostgresDatabase } from './postgres-database.ts'
export type { Statement } from './connection.ts'
export type { PostgresValue } from './values.ts'

// What goes wrong
export { PostgresError, ServerError } from './postgres-error.ts'
export type { BrokenConstraint, PostgresErrorCode } from './postgres-error.ts'
