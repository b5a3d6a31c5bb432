import type { Bus, Database, Logger } from '@banyan/core'
import { silentLogger } from '@banyan/core'

/** Where the databases and the bus of a trial are: files, or URLs of PostgreSQL databases. */
export type Places = Readonly<Record<string, string>>

/** Opens a service's database. */
export async function databaseAt(place: string, name: string): Promise<Database> {
  if (!isUrl(place)) {
    const { sqlite } = await import('@banyan/sqlite')
    return sqlite(place, { name, log })
  }
  const { postgres } = await import('@banyan/postgres')
  return postgres(place, { name, log, maxConnections: 6, connectTimeoutMs: 2_000 })
}

/** Opens the embedded bus, with times short enough for a takeover in mid-trial. */
export async function busAt(place: string): Promise<Bus> {
  const times = { log, leaseMs: 300, saveMs: 50 }
  if (!isUrl(place)) {
    const { sqliteBus } = await import('@banyan/sqlite')
    return sqliteBus(place, times)
  }
  const { postgresBus } = await import('@banyan/postgres')
  return postgresBus(place, times)
}

function isUrl(place: string): boolean {
  return place.startsWith('postgres://')
}

/** Expected troubles are many here; what matters is what the checker says. Set `CRASH_LOG` to see them. */
export const log: Logger = process.env.CRASH_LOG ? loud() : silentLogger

function loud(): Logger {
  const say = (level: string) => (fields: object, message: string) => console.error(process.pid, level, message, fields)
  return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
}
