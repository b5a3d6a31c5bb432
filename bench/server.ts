import { statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { startPostgres } from '@banyan/testing'
import pg from 'pg'

/** The PostgreSQL server that all contestants of a run share. */
export interface Server {
  readonly version: string
  /** Settings that matter for the figures, as the server gives them. */
  readonly settings: Readonly<Record<string, string>>
  /** Does `work` with a new database, which is gone afterwards. */
  withDatabase<T>(work: (url: string) => Promise<T>): Promise<T>
  /** Transactions committed in a database whose connections have all ended: only then has the server counted them all. */
  commits(url: string): Promise<number>
  /** Writes what earlier contestants left for the next checkpoint, so that nobody pays for others. */
  settle(): Promise<void>
  stop(): Promise<void>
}

const NAMED = ['fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size', 'wal_level', 'max_connections']
const TMPFS = 0x01021994

/**
 * Starts PostgreSQL with the server's own defaults.
 *
 * @throws {Error} where temporary files are kept in memory: a sync costs nothing there
 */
export async function startServer(): Promise<Server> {
  if (statfsSync(tmpdir()).type === TMPFS)
    throw new Error(`cannot measure: "${tmpdir()}" is in memory, where a sync costs nothing; set TMPDIR to a folder on a disk`)
  const server = await startPostgres()
  const admin = new pg.Pool({ connectionString: server.url, max: 2 })
  const row = async (text: string, values: unknown[] = []) => (await admin.query<Record<string, string>>(text, values)).rows[0] ?? {}
  const settings = Object.fromEntries(
    await Promise.all(NAMED.map(async (name) => [name, (await row('select current_setting($1) as value', [name])).value ?? ''])),
  )
  return {
    version: (await row("select current_setting('server_version') as version")).version ?? '',
    settings,
    async withDatabase(work) {
      const url = await server.database()
      try {
        return await work(url)
      } finally {
        await server.drop(url)
      }
    },
    async commits(url) {
      const name = new URL(url).pathname.slice(1)
      for (let tries = 0; tries < 200; tries += 1) {
        if ((await row('select count(*) as n from pg_stat_activity where datname = $1', [name])).n === '0') break
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      return Number((await row('select xact_commit as n from pg_stat_database where datname = $1', [name])).n)
    },
    async settle() {
      await admin.query('checkpoint')
    },
    async stop() {
      await admin.end()
      await server.stop()
    },
  }
}
