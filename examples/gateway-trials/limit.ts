import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { readNumbers } from './options.ts'
import { outcomesText, setStage } from './stage.ts'

const HELP = `npm run gateway-trial -- limit [--gateways 2] [--requests 20000] [--limit 500] [--connections 50] [--sliding] [--kill-redis]

Gateways, each a process, count together in a Redis that this starts. A burst over all of them: no more may pass than the limit.
--sliding: by a sliding window; else GCRA. --kill-redis: Redis is killed with kill -9 after a third; then each gateway counts for itself, and no
request may fail for it. Needs redis-server (apt-get install redis-server).`

export async function run(args: readonly string[]): Promise<boolean> {
  const options = readNumbers(
    args,
    HELP,
    {
      gateways: { value: 2, least: 1, most: 16 },
      requests: { value: 20_000, least: 100, most: 1_000_000 },
      limit: { value: 500, least: 1, most: 100_000 },
      connections: { value: 50, least: 1, most: 1_000 },
    },
    ['sliding', 'kill-redis'],
  )
  if (!options) return true
  const { gateways, requests, limit, connections, flags } = options
  if (spawnSync('redis-server', ['--version']).error)
    throw new RangeError('there is no redis-server here; "apt-get install redis-server" brings it')
  const stage = await setStage(1)
  const redis = await startRedis()
  try {
    // By the day: hardly anything comes back while the burst lasts.
    const config = `{ day: ${limit}, shared: true, away_after_ms: 10000${flags.has('sliding') ? ', algorithm: sliding-window' : ''} }`
    const text = `listen: 127.0.0.1:0\nredis: redis://127.0.0.1:${redis.port}\nroutes:\n  - path: /orders\n    service: orders\n    plugins: [{ name: rate-limiting, config: ${config} }]\n`
    const running = await Promise.all(Array.from({ length: gateways }, (_, n) => stage.gateway(text, 1, `gateway-${n}`)))
    const load = stage.load({ urls: running.map(({ url }) => `${url}/orders`), connections, requests, posts: 0, perSecond: 1_000_000 })
    if (flags.has('kill-redis')) {
      while ((await load.progress()) < requests / 3) await new Promise((resolve) => setTimeout(resolve, 5))
      redis.child.kill('SIGKILL')
    }
    const { outcomes } = await load.result()
    const { 'GET 200': passed = 0, 'GET 429': refused = 0 } = outcomes
    const others = Object.values(outcomes).reduce((sum, count) => sum + count, 0) - passed - refused
    // Then each process has a limit of its own, and GCRA gives one back each 86,400 / limit seconds.
    const most = flags.has('kill-redis') ? limit * (gateways + 1) : limit
    console.log(`${outcomesText(outcomes)}`)
    console.log(
      `${gateways} gateways, a limit of ${limit} a day: ${passed.toLocaleString('en')} passed, ${refused.toLocaleString('en')} refused, ${others} failed; wanted at most ${most}, and none failed`,
    )
    return passed <= most && passed >= Math.min(limit, requests) && others === 0
  } finally {
    redis.child.kill('SIGKILL')
    await stage.close()
  }
}

async function startRedis(): Promise<{ readonly port: number; readonly child: ChildProcess }> {
  for (;;) {
    // Below what the system gives to outgoing connections.
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
      stdio: 'ignore',
      cwd: '/',
    })
    process.once('exit', () => child.kill('SIGKILL'))
    while (child.exitCode === null) {
      if (await isListening(port)) return { port, child }
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket
      .once('error', () => resolve(false))
      .once('connect', () => {
        socket.destroy()
        resolve(true)
      })
  })
}
