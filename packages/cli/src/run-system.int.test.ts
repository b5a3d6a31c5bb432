import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type RunningSystem, type StartSystemOptions, startSystem } from './run-system.ts'
import { system } from './system.ts'
import { toy } from './test/toy/system.ts'

const baseUrl = new URL('./test/toy/system.ts', import.meta.url).href
let dataDir: string
let running: RunningSystem | undefined

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'banyan-cli-'))
})
afterEach(async () => {
  await running?.stop()
  running = undefined
  rmSync(dataDir, { recursive: true, force: true })
})

async function start(options: Partial<StartSystemOptions> = {}): Promise<RunningSystem> {
  running = await startSystem(toy, { baseUrl, dataDir, gatewayPort: 0, log: 'silent', ...options })
  return running
}

async function ask(path: string): Promise<Record<string, unknown>> {
  for (const deadline = Date.now() + 10_000; ; await pause(20)) {
    const response = await fetch(`${running?.gatewayUrl}/ping${path}`).catch(() => undefined)
    if (response?.ok) return (await response.json()) as Record<string, unknown>
    if (Date.now() > deadline)
      throw new Error(`no good answer to ${path} within ten seconds: ${response?.status} ${await response?.text()}`)
  }
}

const pids = () => (running?.processes() ?? []).flatMap(({ pid }) => (pid === undefined ? [] : [pid]))

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    // ESRCH: there is no such process.
    return false
  }
}

describe('a system', () => {
  it('runs each service, the gateway and the registry in a process of its own', async () => {
    await start()
    const { ping, pong } = await ask('/both')
    expect(ping).not.toBe(pong)
    expect(pids()).toHaveLength(4)
  })

  it('runs all of it but the registry in one process, without a line differing', async () => {
    await start({ processes: 'one' })
    const { ping, pong } = await ask('/both')
    expect(ping).toBe(pong)
    expect(running?.processes().flatMap(({ name, pid }) => (name === 'registry' ? [] : [pid]))).toEqual([ping])
  })

  it('gives a process that was killed with kill -9 a successor', async () => {
    const { kill, waitReady } = await start()
    const before = await ask('/pid')
    await kill('ping', 'SIGKILL')
    await waitReady()
    expect((await ask('/pid')).pid).not.toBe(before.pid)
    expect(running?.processes().find(({ name }) => name === 'ping')?.restarts).toBe(1)
  })

  it('keeps the gateway where it was when it comes back', async () => {
    const { kill, waitReady } = await start()
    await kill('gateway', 'SIGKILL')
    await waitReady()
    await ask('/pid')
  })

  it('answers while its registry is down, which comes back at its old place with all it knew', async () => {
    const { takeDown, registryUrl } = await start()
    const ids = async () => Object.keys((await (await fetch(`${registryUrl}/v1/agent/services`)).json()) as object).sort()
    await ask('/both')
    const before = await ids()
    const bringBack = await takeDown('registry')
    await expect(fetch(registryUrl)).rejects.toThrow()
    for (let i = 0; i < 20; i += 1) expect((await fetch(`${running?.gatewayUrl}/ping/both`)).status).toBe(200)
    expect(running?.processes().find(({ name }) => name === 'registry')?.state).toBe('waiting')
    await bringBack()
    expect(await ids()).toEqual(before)
    expect(before).toHaveLength(2)
  })

  it('leaves no process behind when it stops', async () => {
    const { stop } = await start()
    const all = pids()
    await stop()
    expect(all.filter(isAlive)).toEqual([])
  })

  it('leaves no process behind when the one that started it is killed with kill -9', async () => {
    const script = new URL('./test/toy/orphan-maker.ts', import.meta.url).pathname
    const parent = spawn(process.execPath, ['--conditions=@banyan/source', script, dataDir], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const [children] = (await once(parent, 'message')) as [number[]]
    expect(children.filter(isAlive)).toHaveLength(4)
    parent.kill('SIGKILL')
    for (const deadline = Date.now() + 5_000; children.some(isAlive) && Date.now() < deadline; ) await pause(20)
    expect(children.filter(isAlive)).toEqual([])
  })

  it('says in one line that a port is taken, and starts nothing', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    await expect(start({ gatewayPort: port })).rejects.toThrow(
      new RegExp(`^cannot listen on 127.0.0.1:${port} for the gateway: another program listens there`),
    )
    server.close()
  })

  it('says in one line that the data folder cannot be used', async () => {
    writeFileSync(join(dataDir, 'file'), '')
    await expect(start({ dataDir: join(dataDir, 'file', 'data') })).rejects.toThrow(/^cannot use the data folder ".*file\/data": /)
  })

  it('says which service did not start and why, and leaves nothing running', async () => {
    const broken = system({ name: 'broken', services: { ping: './ping.ts', broken: './broken.ts' } })
    await expect(startSystem(broken, { baseUrl, dataDir, log: 'silent' })).rejects.toThrow(
      'process "broken" did not start: the toy is broken',
    )
  })

  it('leaves nothing open when the processes it is given do not fit its services', async () => {
    const servers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap').length
    // What the tests before have closed may still be counted.
    await vi.waitFor(() => expect(servers()).toBe(0))
    await expect(start({ processes: { core: ['pnig', 'pong'] } })).rejects.toThrow('unknown service "pnig"; did you mean "ping"?')
    await vi.waitFor(() => expect(servers()).toBe(0))
  })

  it('says which service has a module that makes none', async () => {
    const odd = system({ name: 'odd', services: { odd: './contracts.ts' } })
    await expect(startSystem(odd, { baseUrl, dataDir, log: 'silent' })).rejects.toThrow(
      /process "odd" did not start: the module of service "odd", .*contracts\.ts, has no default export that makes a service/,
    )
  })

  it('names the nearest process for one that is not there', async () => {
    const { kill } = await start()
    await expect(kill('pnig', 'SIGKILL')).rejects.toThrow(/no process "pnig"; did you mean "ping"/)
  })
})
