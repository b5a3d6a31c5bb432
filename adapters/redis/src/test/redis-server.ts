import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/** What is said where it is not: which test was left out, and how to get it in. */
export const leftOut = 'left out: there is no Redis here; "apt-get install redis-server" brings it'

/** Whether there is a Redis to start. */
export function hasRedis(): boolean {
  return spawnSync('redis-server', ['--version']).error === undefined
}

/** A Redis of the test's own, without a file. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  signal(signal: NodeJS.Signals): void
  /** Kills it with `kill -9`. */
  stop(): Promise<void>
  /** Starts it again at its old place, empty. */
  start(): Promise<void>
}

/** Starts a Redis on a free port of the loopback; `without`: commands that it is not to know, as older ones do not. */
export async function startRedis(options: { password?: string; without?: readonly string[] } = {}): Promise<RedisServer> {
  const port = await freePort()
  const { password, without = [] } = options
  const words = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--daemonize', 'no']
  if (password !== undefined) words.push('--requirepass', password)
  for (const command of without) words.push('--rename-command', command, '')
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    const started = spawn('redis-server', words, { stdio: 'ignore', cwd: '/' })
    child = started
    for (const limit = performance.now() + 30_000; !(await isListening(port)); await pause(10)) {
      if (started.exitCode !== null || performance.now() > limit) throw new Error(`Redis did not start on port ${port}`)
    }
  }

  await start()
  return {
    url: `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`,
    port,
    start,
    signal: (signal) => void child?.kill(signal),
    async stop() {
      const victim = child
      child = undefined
      if (!victim || victim.exitCode !== null || victim.signalCode !== null) return
      const gone = once(victim, 'exit')
      victim.kill('SIGKILL')
      await gone
    },
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Below what the system gives to outgoing connections, so that it is still free when Redis comes back. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const server = createServer()
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
}
