import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { codeOf, messageOf } from '@banyan/core'
import type { ServerUser } from './postgres-binaries.ts'

/** Where a server lives and as whom. */
export interface ServerPlace {
  readonly binDir: string
  /** A folder of its own, which `user` owns. */
  readonly folder: string
  readonly user: ServerUser | undefined
}

/** A server that accepts connections. */
export interface ServerProcess {
  readonly pid: number
  /** The last lines of its log. */
  log(): string
  /** Ends it: `SIGINT` lets it write a checkpoint, `SIGQUIT` is as a crash. Resolves when it is gone. */
  end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void>
}

const LOG_LINES = 200
const START_MS = 30_000

/** Makes an empty data folder. */
export async function initDatabase({ binDir, folder, user }: ServerPlace, passwordFile: string): Promise<void> {
  const login = ['--username=banyan', '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  // The new folder may be lost in a power cut, since there is nothing in it; what a running server is given is synced as everywhere.
  const args = [`--pgdata=${join(folder, 'data')}`, '--no-sync', '--no-instructions', '--no-locale', '--encoding=UTF8', ...login]
  try {
    await promisify(execFile)(join(binDir, 'initdb'), args, { ...user, cwd: folder, env: serverEnv() })
  } catch (cause) {
    throw new Error(`cannot make a data folder for PostgreSQL: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Starts the server on a port of 127.0.0.1; resolves when it accepts connections.
 *
 * @throws {PortTakenError}, or an Error with the server's log
 */
export async function startServer(
  { binDir, folder, user }: ServerPlace,
  port: number,
  settings: Record<string, string>,
): Promise<ServerProcess> {
  const fixed = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '', logging_collector: 'off' }
  const args = [
    '-D',
    join(folder, 'data'),
    ...Object.entries({ ...settings, ...fixed }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  // In a session of its own: Ctrl-C in a terminal must reach those who use the server first.
  const server = spawn(join(binDir, 'postgres'), args, {
    ...user,
    cwd: folder,
    env: serverEnv(),
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const lines: string[] = []
  const ended = once(server, 'exit')
  await accepting(server, ended, lines, port)
  // A starter that ends without stopping the server must not be kept alive by it; the keeper tidies up.
  server.unref()
  return {
    pid: server.pid ?? 0,
    log: () => lines.join('\n'),
    async end(signal) {
      server.ref()
      server.kill(signal)
      await ended
    },
  }
}

/** The port that was free a moment ago is in use. */
export class PortTakenError extends Error {}

async function accepting(server: ChildProcess, ended: Promise<unknown>, lines: string[], port: number): Promise<void> {
  const log = server.stderr
  if (!log) throw new Error('cannot read the log of PostgreSQL: it was started without one')
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: log }).on('line', (line) => {
      lines.push(line)
      if (lines.length > LOG_LINES) lines.shift()
      if (/ready to accept (read-only )?connections/.test(line)) resolve()
    })
  })
  const timer = setTimeout(() => server.kill('SIGKILL'), START_MS)
  const outcome = await Promise.race([ready.then(() => 'ready'), ended.then(() => 'ended')]).finally(() => clearTimeout(timer))
  if ('unref' in log && typeof log.unref === 'function') log.unref()
  if (outcome === 'ready') return
  const said = lines.join('\n')
  if (said.includes('Address already in use')) throw new PortTakenError(`cannot start PostgreSQL: port ${port} is taken`)
  throw new Error(`cannot start PostgreSQL: it ended with ${server.exitCode ?? codeOf(server) ?? server.signalCode}, and said:\n${said}`)
}

function serverEnv(): NodeJS.ProcessEnv {
  return { ...process.env, TZ: 'UTC', LC_ALL: 'C' }
}
