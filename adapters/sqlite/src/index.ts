// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// A service's database
export { sqlite } from './database.ts'
export type { SqliteOptions } from './database.ts'
export type { SqliteDatabase } from './sqlite-database.ts'
export { isServiceFile } from './service-file.ts'

// The embedded bus
export { sqliteBus } from './bus.ts'
export type { SqliteBusOptions } from './bus.ts'

// What goes wrong
export { SqliteError } from './sqlite-error.ts'
export type { BrokenConstraint, SqliteErrorCode } from './sqlite-error.ts'
