import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** What is said where it is not: which test was left out, and how to get it in. */
export const leftOut = 'left out: there is no etcd here; "apt-get install etcd-server" brings it'

/** Whether there is an etcd to start. */
export function hasEtcd(): boolean {
  return spawnSync('etcd', ['--version']).error === undefined
}

/** An etcd of the test's own. */
export interface EtcdServer {
  readonly url: string
  /** Kills it with `kill -9`. */
  stop(): Promise<void>
  /** Starts it again at its old place; `empty`: without its data. */
  start(empty?: boolean): Promise<void>
  /** A call of its JSON gateway. */
  call(path: string, body: object, token?: string): Promise<Record<string, unknown>>
  /** Ends it and removes its data. */
  close(): Promise<void>
}

/** Starts an etcd on free ports with its data in a temporary folder. Its elections are short, so that leases of a second are possible. */
export async function startEtcd(options: { args?: readonly string[]; scheme?: 'http' | 'https' } = {}): Promise<EtcdServer> {
  const { args = [], scheme = 'http' } = options
  const folder = await mkdtemp(join(tmpdir(), 'banyan-etcd-'))
  const [port, peerPort] = [await freePort(), await freePort()]
  const url = `${scheme}://127.0.0.1:${port}`
  const peer = `http://127.0.0.1:${peerPort}`
  const words = ['--data-dir', join(folder, 'data'), '--listen-client-urls', url, '--advertise-client-urls', url]
  words.push('--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`)
  words.push('--heartbeat-interval', '50', '--election-timeout', '500', ...args)
  let child: ChildProcess | undefined

  const call: EtcdServer['call'] = async (path, body, token) => {
    const headers = token === undefined ? {} : { authorization: token }
    const response = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body), headers })
    const answer = (await response.json()) as Record<string, unknown> // etcd answers with an object
    if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`)
    return answer
  }
  async function start(empty = false): Promise<void> {
    if (empty) await rm(join(folder, 'data'), { recursive: true, force: true })
    child = spawn('etcd', words, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr?.on('data', (text) => {
      said = `${said}${text}`.slice(-4_000)
    })
    const ended = once(child, 'exit').then(() => true)
    for (const limit = performance.now() + 30_000; ; ) {
      if (scheme === 'https' ? said.includes('ready to serve client requests') : await isServing(call)) return
      const gone = await Promise.race([ended, pause(20, false)])
      if (gone || performance.now() > limit) throw new Error(`etcd did not start: ${said}`)
    }
  }
  async function stop(): Promise<void> {
    const victim = child
    child = undefined
    if (!victim || victim.exitCode !== null || victim.signalCode !== null) return
    const gone = once(victim, 'exit')
    victim.kill('SIGKILL')
    await gone
  }

  await start()
  return {
    url,
    call,
    start,
    stop,
    async close() {
      await stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function isServing(call: EtcdServer['call']): Promise<boolean> {
  try {
    await call('/v3/kv/range', { key: 'Zm9v' })
    return true
  } catch (error) {
    // Switched on already, it wants to know who asks: it is there.
    return error instanceof Error && error.message.includes('user name is empty')
  }
}

/** Below what the system gives to outgoing connections, so that it is still free when etcd comes back. */
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
