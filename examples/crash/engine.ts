import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Migration } from '@banyan/core'
import type { CrashOutsider } from '@banyan/testing/crash'
import { databaseAt, type Places } from './places.ts'

export const ENGINES = ['sqlite', 'postgres'] as const
export type EngineName = (typeof ENGINES)[number]

/** A database that a trial needs. */
export interface Wanted {
  readonly service: string
  readonly migrations: (dialect: EngineName) => readonly Migration[]
}

/** Where trials have their databases. */
export interface Engine {
  readonly name: EngineName
  /** The databases' server, where it is no process of the trial. */
  readonly outsiders: readonly CrashOutsider[]
  /** Makes fresh databases, and a place for the bus. */
  site(wanted: readonly Wanted[]): Promise<Site>
  /** Ends what it has started. */
  stop(): Promise<void>
}

/** The places of one trial. */
export interface Site {
  readonly folder: string
  readonly places: Places
  remove(): Promise<void>
}

/** Starts an engine: SQLite is files alone; PostgreSQL is one server for all trials, and databases of their own for each. */
export async function startEngine(name: EngineName): Promise<Engine> {
  if (name === 'sqlite') return sqliteEngine()
  const { postgresEngine } = await import('./postgres-engine.ts')
  return postgresEngine()
}

/** A folder for a trial's files. */
export function trialFolder(): string {
  return mkdtempSync(join(tmpdir(), 'banyan-crash-'))
}

/** Each trial's databases are copies of ones that were migrated once. */
function sqliteEngine(): Engine {
  const templates = trialFolder()
  const made = new Map<string, Promise<string>>()

  async function make({ service, migrations }: Wanted): Promise<string> {
    const file = join(templates, `${service}.db`)
    const database = await databaseAt(file, service)
    await database.migrate(migrations('sqlite'))
    await database.close()
    return file
  }

  return {
    name: 'sqlite',
    outsiders: [],
    async site(wanted) {
      const folder = trialFolder()
      const places: Record<string, string> = { bus: join(folder, 'bus.db') }
      for (const one of wanted) {
        const template = made.get(one.service) ?? make(one)
        made.set(one.service, template)
        const file = join(folder, `${one.service}.db`)
        copyFileSync(await template, file)
        places[one.service] = file
      }
      return { folder, places, remove: async () => rmSync(folder, { recursive: true, force: true }) }
    },
    stop: async () => rmSync(templates, { recursive: true, force: true }),
  }
}
