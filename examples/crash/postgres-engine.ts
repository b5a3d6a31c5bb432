import { rmSync } from 'node:fs'
import { codeOf, messageOf, sleep, systemWorld } from '@banyan/core'
import { startPostgres } from '@banyan/testing'
import type { CrashOutsider } from '@banyan/testing/crash'
import pg from 'pg'
import { type Engine, trialFolder, type Wanted, type WantedBus } from './engine.ts'
import { busAt, databaseAt, log } from './places.ts'

/** How many databases of trials that are over may be there. Dropping one takes a checkpoint; those that follow at once, hardly any. */
const MOST_OLD = 60
/** How long the server may be away after a crash before that counts as a bug, milliseconds. */
const AWAY_MS = 30_000

/** One server for all trials of a run. A trial's databases are copies of templates that were migrated once. */
export async function postgresEngine(): Promise<Engine> {
  // After a crash the server syncs all its files, one by one or, as safely, the file system as a whole: there are many databases here.
  const settings = { max_connections: '400', max_wal_size: '2GB', recovery_init_sync_method: 'syncfs' }
  const server = await startPostgres({ settings })
  const made = new Map<string, Promise<string>>()
  const old: string[] = []
  let count = 0

  async function dropOld(): Promise<void> {
    for (const name of old.splice(0)) await query(server.url, `drop database if exists ${name} with (force)`)
  }

  /** The name of a template, made when it is first asked for. */
  function template(name: string, fill: (url: string) => Promise<void>): Promise<string> {
    const known =
      made.get(name) ??
      server
        .database(`template_${name}`)
        .then(fill)
        .then(() => `template_${name}`)
    made.set(name, known)
    return known
  }

  async function copy(source: string, name: string): Promise<string> {
    await query(server.url, `create database ${name} template ${source}`).catch((error) => {
      // Made whole, and the server died before it could say so: the name is nobody else's.
      if (codeOf(error) !== DUPLICATE_DATABASE) throw error
    })
    return Object.assign(new URL(server.url), { pathname: `/${name}` }).href
  }

  return {
    name: 'postgres',
    outsiders: [databaseOutsider(server)],
    async site(wanted, bus) {
      const number = count++
      const nameOf = (place: string) => `trial_${number}_${place}`
      const places: Record<string, string> = {}
      for (const one of wanted) places[one.service] = await copy(await template(one.service, migrated(one)), nameOf(one.service))
      if (bus) places.bus = await copy(await template('bus', withGroup(bus)), nameOf('bus'))
      const folder = trialFolder()
      return {
        folder,
        places,
        async remove() {
          rmSync(folder, { recursive: true, force: true })
          old.push(...Object.keys(places).map(nameOf))
          if (old.length >= MOST_OLD) await dropOld()
        },
      }
    },
    stop: () => server.stop(),
  }
}

function migrated({ service, migrations }: Wanted): (url: string) => Promise<void> {
  return async (url) => {
    const database = await databaseAt(url, service)
    await database.migrate(migrations('postgres'))
    await database.close()
  }
}

function withGroup({ group, types }: WantedBus): (url: string) => Promise<void> {
  return async (url) => {
    const bus = await busAt(url)
    const subscription = await bus.subscribe({ group, types, handle: async () => {} })
    await subscription.stop()
    await bus.close()
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
    await (strikes % 2 === 1 ? server.restart({ immediate: true }) : killBackend(server.url))
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

/** Kills one of the server's processes that serve a trial, if there is one. */
async function killBackend(url: string): Promise<void> {
  const text = "select pid from pg_stat_activity where datname like 'trial_%' and pid <> pg_backend_pid() order by random() limit 1"
  const [row] = await query<{ pid: number }>(url, text)
  if (!row) return
  try {
    process.kill(row.pid, 'SIGKILL')
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error
    // It has ended since it was looked for.
    await killBackend(url)
  }
}

const DUPLICATE_DATABASE = '42P04'

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
