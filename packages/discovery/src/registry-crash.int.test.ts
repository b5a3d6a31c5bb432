import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as soon } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'

let folder: string
const lives: Life[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banyan-registry-'))
})
afterEach(async () => {
  for (const life of lives.splice(0)) await life.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

interface Life {
  readonly url: string
  /** What it has said in its log. */
  readonly said: string[]
  kill(signal: NodeJS.Signals): Promise<void>
  signal(signal: NodeJS.Signals): void
}

/** A registry as a process. */
async function live(stateFile: string): Promise<Life> {
  const script = new URL('./test/registry-child.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--conditions=@banyan/source', script, stateFile], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const said: string[] = []
  child.stderr?.setEncoding('utf8').on('data', (text: string) => said.push(text))
  const [{ url }] = (await once(child, 'message')) as [{ url: string }]
  const life: Life = {
    url,
    said,
    signal: (signal) => void child.kill(signal),
    async kill(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill(signal)
      await gone
    },
  }
  lives.push(life)
  return life
}

async function register(url: string, id: string, ttl: string, size = 0): Promise<number> {
  const body = { ID: id, Name: 'orders', Meta: { filling: 'x'.repeat(size) }, Check: { TTL: ttl, Status: 'passing' } }
  const response = await fetch(`${url}/v1/agent/service/register`, { method: 'PUT', body: JSON.stringify(body) })
  if (response.status !== 200) throw new Error(await response.text())
  const listed = await fetch(`${url}/v1/catalog/services`)
  await listed.text()
  return Number(listed.headers.get('x-consul-index'))
}

async function idsAt(url: string): Promise<string[]> {
  return Object.keys((await (await fetch(`${url}/v1/agent/services`)).json()) as object)
}

/** Waits without sleeping: each round lets everything else go on. */
async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (const limit = performance.now() + 20_000; !(await isTrue()); await soon())
    if (performance.now() > limit) throw new Error('did not become true within 20 s')
}

test('killed with kill -9 in the middle of writing its file, it starts with the state before, and its index only grows', async () => {
  const stateFile = join(folder, 'registry.json')
  let interrupted = 0
  let index = 0
  const kept: string[] = []
  for (let round = 0; round < 6; round += 1) {
    const life = await live(stateFile)
    expect(life.said.join()).toBe('')
    expect(await idsAt(life.url)).toEqual(expect.arrayContaining(kept))
    const start = Number((await fetch(`${life.url}/v1/catalog/services`)).headers.get('x-consul-index'))
    expect(start).toBeGreaterThan(index)
    await register(life.url, `kept-${round}`, '10m')
    kept.push(`kept-${round}`)
    // Large enough that writing takes a while, and always another.
    const write = async (_: unknown, n: number) => {
      for (let i = 0; ; i += 1) index = Math.max(index, await register(life.url, `big-${n}`, '10m', 60_000 + i))
    }
    // They end, by the errors of their requests, when it is killed.
    const writers = Promise.allSettled(Array.from({ length: 8 }, write))
    await until(() => existsSync(`${stateFile}.tmp`))
    await life.kill('SIGKILL')
    await writers
    if (existsSync(`${stateFile}.tmp`)) interrupted += 1
  }
  // Else the test has shown nothing.
  expect(interrupted).toBeGreaterThan(0)
}, 60_000)

test('what it has answered it knows when it is killed with kill -9 that moment', async () => {
  const stateFile = join(folder, 'registry.json')
  const told: string[] = []
  for (let round = 0; round < 4; round += 1) {
    const life = await live(stateFile)
    told.push(`o-${round}`)
    // Large, so that it is not written by chance before the signal comes.
    await register(life.url, `o-${round}`, '10m', 400_000)
    await life.kill('SIGKILL')
  }
  expect(await idsAt((await live(stateFile)).url)).toEqual(told)
}, 30_000)

test('a registry that was paused for longer than a TTL expires nobody for it', async () => {
  const { url, signal } = await live(join(folder, 'registry.json'))
  await register(url, 'o-1', '2s')
  signal('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, 3_500)) // the pause itself is what is tested
  signal('SIGCONT')
  const passing = async () => ((await (await fetch(`${url}/v1/health/service/orders?passing`)).json()) as unknown[]).length
  expect(await passing()).toBe(1)
  // And one that is really gone still goes, a TTL later.
  await until(async () => (await passing()) === 0)
})
