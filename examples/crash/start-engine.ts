import type { Engine, EngineName } from './engine.ts'
import { sqliteEngine } from './sqlite-engine.ts'

/** Starts an engine: SQLite is files alone; PostgreSQL is one server for all trials, and databases of their own for each. */
export async function startEngine(name: EngineName): Promise<Engine> {
  if (name === 'sqlite') return sqliteEngine()
  const { postgresEngine } = await import('./postgres-engine.ts')
  return postgresEngine()
}
