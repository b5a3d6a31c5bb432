export type { SqliteBusOptions } from './bus.ts'
// The embedded bus
export { sqliteBus } from './bus.ts'
export type { SqliteOptions } from './database.ts'
// A service's database
export { sqlite } from './database.ts'
export type { SqliteDatabase } from './sqlite-database.ts'
export type { BrokenConstraint, SqliteErrorCode } from './sqlite-error.ts'
// What goes wrong
export { SqliteError } from './sqlite-error.ts'
