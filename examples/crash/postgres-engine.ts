import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, sleep, systemWorld } from '@banyan/core'
import { startPostgres } from '@banyan/testing'
import type { CrashOutsider } from '@banyan/testing/crash'
import pg from 'pg'
import { type Engine, trialFolder, type Wanted } from './engine.ts'
import { databaseAt, log } from './places.ts'

/** How many databases of trials that are over may be there. Dropping one takes a checkpoint; those that follow at once, hardly any. */
const MOST_OLD = 60
/** How long the server may be away after a crash before that counts as a bug, milliseconds. */
const AWAY_MS = 30_000

/** One server for all trials of a run. A trial's databases are copies of templates that were migrated once. */
export async function postgresEngine(): Promise<Engine> {
  const server = await startPostgres({ settings: { max_connections: '400', max_wal_size: '2GB' } })
  const made = new Map<string, Promise<string>>()
  const old: string[] = []
  let count = 0

  async function dropOld(): Promise<void> {
    for (const name of old.splice(0)) await query(server.url, `drop database if exists ${name} with (force)`)
  }

  async function make({ service, migrations }: Wanted): Promise<string> {
    const name = `template_${service}`
    const database = await databaseAt(await server.database(name), service)
    await database.migrate(migrations('postgres'))
    await database.close()
    return name
  }

  return {
    name: 'postgres',
    outsiders: [databaseOutsider(server)],
    async site(wanted) {
      const folder = trialFolder()
      const places: Record<string, string> = { bus: join(folder, 'bus.db') }
      const number = count++
      const nameOf = (service: string) => `trial_${number}_${service}`
      for (const one of wanted) {
        const template = made.get(one.service) ?? make(one)
        made.set(one.service, template)
        await query(server.url, `create database ${nameOf(one.service)} template ${await template}`)
        places[one.service] = Object.assign(new URL(server.url), { pathname: `/${nameOf(one.service)}` }).href
      }
      const names = wanted.map(({ service }) => nameOf(service))
      return {
        folder,
        places,
        async remove() {
          rmSync(folder, { recursive: true, force: true })
          old.push(...names)
          if (old.length >= MOST_OLD) await dropOld()
        },
      }
    },
    stop: () => server.stop(),
  }
}

/**
 * The server dies: as in a power cut, or because a process of it is killed, after which it ends all others too. It recovers by itself,
 * for all trials that run at the time; while it does, further strikes find it dead already.
 */
function databaseOutsider(server: Awaited<ReturnType<typeof startPostgres>>): CrashOutsider {
  let striking: Promise<void> | undefined
  let strikes = 0

  async function strikeOnce(): Promise<void> {
    strikes += 1
    if (strikes % 2 === 1) return server.restart({ immediate: true })
    const text = "select pid from pg_stat_activity where datname like 'trial_%' and pid <> pg_backend_pid() order by random() limit 1"
    const [row] = await query<{ pid: number }>(server.url, text)
    if (row) process.kill(row.pid, 'SIGKILL')
  }

  return {
    name: 'database',
    strike() {
      striking ??= strikeOnce().finally(() => {
        striking = undefined
      })
      return striking
    },
  }
}

/** Runs a statement by the superuser, again while the server recovers from a strike. */
async function query<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const until = systemWorld.monotonic() + AWAY_MS
  for (;;) {
    const client = new pg.Client({ connectionString: url })
    // An idle connection that breaks is told of by an event; what was asked for rejects by itself.
    client.on('error', (error) => log.debug({ error: messageOf(error) }, 'a connection broke'))
    try {
      await client.connect()
      return (await client.query<Row>(text)).rows
    } catch (error) {
      if (systemWorld.monotonic() > until || !isAway(error)) throw error
      log.warn({ error: messageOf(error) }, 'the server is away')
      await sleep(systemWorld, 100)
    } finally {
      await client.end().catch((error: unknown) => log.debug({ error: messageOf(error) }, 'a broken connection could not be closed'))
    }
  }
}

/** Everything but what the server itself has to say about the statement. */
function isAway(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return true
  // Class 57: it is shutting down, starting up, or has lost a process; 53: too many connections.
  return error.code?.startsWith('57') === true || error.code?.startsWith('53') === true || error.code === '55006'
}
