import { join } from 'node:path'
import type { Database, Logger, World } from '@banyan/core'

/** The variable that says where services have their databases: the URL of a PostgreSQL server. Left out: SQLite files in the data folder. */
export const DATABASE_VARIABLE = 'BANYAN_DATABASE_URL'

/** Opens a service's own database. */
export type OpenDatabase = (service: string, log: Logger) => Database

/**
 * How services of a process open their databases: on the server of `databaseUrl`, where each is made when it is not there, else in files
 * of `dataDir`.
 *
 * @throws {TypeError} when the URL is none of a PostgreSQL server; it does not show it
 */
export async function databaseOpener(options: { dataDir: string; databaseUrl: string | undefined; world: World }): Promise<OpenDatabase> {
  const { dataDir, databaseUrl, world } = options
  // Imports are late: a process that starts needs one of the two.
  if (!databaseUrl) {
    const { sqlite } = await import('@banyan/sqlite')
    return (service, log) => sqlite(join(dataDir, `${service}.db`), { name: service, world, log })
  }
  serverOf(databaseUrl)
  const { postgres } = await import('@banyan/postgres')
  return (service, log) => postgres(serviceDatabaseUrl(databaseUrl, service), { name: service, world, log, create: true })
}

/**
 * The URL of a service's own database on a server: `postgres://host/shop` and `orders` give `postgres://host/shop_orders`; without a
 * path `postgres://host/orders`.
 *
 * @throws {TypeError} when the URL is none of a PostgreSQL server; it does not show it
 */
export function serviceDatabaseUrl(serverUrl: string, service: string): string {
  const url = serverOf(serverUrl)
  const prefix = url.pathname.slice(1)
  url.pathname = prefix ? `/${prefix}_${service}` : `/${service}`
  return url.href
}

function serverOf(text: string): URL {
  // Neither the text nor the error of one that is no URL, which has it in it: it may hold a password.
  if (URL.canParse(text) && /^postgres(ql)?:/.test(text)) return new URL(text)
  throw new TypeError(`cannot use the URL of the databases, ${DATABASE_VARIABLE}: wanted postgres://user:password@host:5432/name`)
}
