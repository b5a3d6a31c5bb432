import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@banyan/core'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { askAdmin } from './admin-client.ts'
import { runProgram } from './program.ts'
import { type RunningGateway, runGateway } from './run-gateway.ts'

const TOKEN = 'a-token-of-sixteen'
/** A busy machine takes its time to start processes. */
const PATIENCE = { timeout: 60_000, interval: 50 }

async function fleet(processes: number, admin = '0') {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-fleet-'))
  const file = join(folder, 'gateway.yaml')
  const server = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  // A server that listens on a port has an address of this kind.
  const { port } = server.address() as AddressInfo
  const text = (path: string) =>
    `listen: 127.0.0.1:0\nadmin: ${admin}\nadmin_token: ${TOKEN}\nlinger_ms: 300\ndrain_ms: 5000\nroutes:\n  - path: ${path}\n    url: http://127.0.0.1:${port}\n`
  writeFileSync(file, text('/'))
  let running: RunningGateway | undefined
  onTestFinished(async () => {
    await running?.stop()
    server.close()
    server.closeAllConnections()
    rmSync(folder, { recursive: true, force: true })
  })
  const lines: string[] = []
  const plan = { file, registryUrl: undefined, port: undefined }
  const onLine = (name: string, line: string) => void lines.push(`${name}: ${line}`)
  running = await runGateway({ plan, processes, historyFolder: undefined, onLine, log: silentLogger })
  const { url, adminUrl = '' } = running
  return { running, url, adminUrl, file, text, lines }
}

/** One request on a connection of its own, or on those of `agent`: its status, or what went wrong. */
function ask(url: string, agent?: Agent): Promise<string> {
  return new Promise((resolve) => {
    get(url, { agent: agent ?? false }, (response) => {
      response.resume().on('end', () => resolve(String(response.statusCode)))
    }).on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

const pidsOf = async ({ fleet: running }: RunningGateway) => (await running?.processes())?.map(({ pid }) => pid) ?? []

describe('a gateway of several processes', () => {
  it('listens with all of them on one port, and tells how each is doing and what all have measured', { timeout: 120_000 }, async () => {
    const { url, adminUrl } = await fleet(2)
    for (let n = 0; n < 40; n += 1) expect(await ask(url)).toBe('200')
    const ready = (await (await fetch(`${adminUrl}/health/ready`)).json()) as { processes: object[] }
    expect(ready).toMatchObject({
      status: 'ready',
      detail: '2 of 2 processes take requests',
      processes: [{ name: 'gateway 0', state: 'ready' }, { name: 'gateway 1' }],
    })
    const metrics = await (await fetch(`${adminUrl}/metrics`)).text()
    expect(metrics).toContain('http_client_request_duration_count')
    const counts = [...metrics.matchAll(/http_server_request_duration_count\{process="(\d)".* (\d+)/g)].map(([, process, count]) => [
      process,
      Number(count),
    ])
    expect(counts.map(([process]) => process).sort()).toEqual(['0', '1'])
    expect(counts.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(40)
  })

  it('replaces them one after the other and fails no request, kept connections or new ones', { timeout: 120_000 }, async () => {
    const { running, url, adminUrl } = await fleet(2)
    const before = await pidsOf(running)
    const agent = new Agent({ keepAlive: true, maxSockets: 4 })
    const statuses = new Map<string, number>()
    let isLoading = true
    const client = async (own?: Agent) => {
      while (isLoading) {
        const status = await ask(url, own)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    }
    const clients = Promise.all([client(agent), client(agent), client(agent), client(), client()])
    process.env.GATEWAY_ADMIN_TOKEN = TOKEN
    expect(JSON.parse(await askAdmin({ admin: adminUrl }, 'POST', '/restart'))).toEqual({ restarted: true })
    isLoading = false
    await clients
    expect([...statuses.keys()]).toEqual(['200'])
    const after = await pidsOf(running)
    expect(after.filter((pid) => before.includes(pid))).toEqual([])
  })

  it('loses none of the connections that nobody had taken yet when a process is killed with kill -9', { timeout: 120_000 }, async () => {
    const { running, url } = await fleet(1)
    const [before] = await pidsOf(running)
    const killed = running.fleet?.kill(0, 'SIGKILL')
    await killed
    // Nobody is there; the socket is.
    const waiting = Array.from({ length: 10 }, () => ask(url))
    expect(await Promise.all(waiting)).toEqual(Array(10).fill('200'))
    expect((await pidsOf(running))[0]).not.toBe(before)
  })

  it('takes a changed file with all of them, and with none when it is bad', { timeout: 120_000 }, async () => {
    const { running, url, file, text } = await fleet(2)
    writeFileSync(file, text('/new'))
    await vi.waitFor(async () => {
      for (let n = 0; n < 10; n += 1) expect(await ask(`${url}/new`)).toBe('200')
      for (let n = 0; n < 10; n += 1) expect(await ask(`${url}/old`)).toBe('404')
    }, PATIENCE)
    writeFileSync(file, 'routes: []')
    await expect(running.reload()).rejects.toThrow(/wanted at least 1/)
    expect(await ask(`${url}/new`)).toBe('200')
  })

  it('is asked by the command line', { timeout: 120_000 }, async () => {
    const { adminUrl, file, text, url } = await fleet(1)
    process.env.GATEWAY_ADMIN_TOKEN = TOKEN
    const banyan = async (...words: string[]) => {
      let said = ''
      const write = (some: string) => {
        said += some
      }
      const code = await runProgram(['gateway', ...words, '--admin', adminUrl], { write, writeError: write })
      return `${code} ${said}`
    }
    expect(await banyan('routes')).toMatch(/^0 methods +hosts +path +to +plugins\nall +all +\/ +http/)
    const other = `${file}.other`
    writeFileSync(other, text('/other'))
    expect(await banyan('diff', other)).toBe('0 - route /\n+ route /other\n')
    expect(await banyan('reload', other)).toBe('0 - route /\n+ route /other\n')
    expect(await ask(`${url}/other`)).toBe('200')
    expect(await banyan('history')).toMatch(/2 +\S+ +api .*\n1 +\S+ +start /)
    expect(await banyan('rollback', '1')).toBe('0 - route /other\n+ route /\n')
    expect(await ask(`${url}/other`)).toBe('200')
    expect(await banyan('reload')).toBe('0 nothing changes\n')
    writeFileSync(other, text('/other').replace('linger_ms', 'linger_m'))
    expect(await banyan('reload', other)).toMatch(/^1 .*gateway\.yaml:4:1: unknown key "linger_m".* did you mean "linger_ms"\?/)
    expect(await banyan('rollback', '77')).toMatch(/^1 there is no configuration 77 in the history; there are 1 to 3/)
    process.env.GATEWAY_ADMIN_TOKEN = ''
    expect(await banyan('routes')).toMatch(/^2 the admin port needs a token/)
  })

  it('says what keeps it from starting, and leaves nothing behind', { timeout: 120_000 }, async () => {
    const { url, file, text } = await fleet(1)
    const { port } = new URL(url)
    writeFileSync(file, text('/').replace('listen: 127.0.0.1:0', `listen: 127.0.0.2:${port}`).replace('admin: 0', 'admin: 70000'))
    const plan = { file, registryUrl: undefined, port: undefined }
    await expect(runGateway({ plan, processes: 2, historyFolder: undefined, onLine: () => {}, log: silentLogger })).rejects.toThrow(
      /gateway\.yaml:2:8/,
    )
  })

  it('says where its admin port is, also at another address', { timeout: 120_000 }, async () => {
    const { adminUrl } = await fleet(1, '"127.0.0.2:0"')
    expect(adminUrl).toMatch(/^http:\/\/127\.0\.0\.2:\d+$/)
    expect((await fetch(`${adminUrl}/health/ready`)).status).toBe(200)
  })

  it('starts no process any more once it has been told to stop', { timeout: 120_000 }, async () => {
    const { running } = await fleet(1)
    const stopped = running.stop()
    const restarted = running.fleet?.restart().catch((error: Error) => error.message)
    await stopped
    await restarted
    expect(await pidsOf(running)).toEqual([undefined])
    expect(await restarted).toMatch('the gateway is being stopped')
  })
})
