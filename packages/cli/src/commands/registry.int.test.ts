import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runProgram } from '../program.ts'

let folder: string
const children: ChildProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-cli-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) await end(child, 'SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }
  return child.exitCode
}

/** Runs the command as a person does; resolves with the address it prints. */
async function start(args: readonly string[], env: Record<string, string> = {}): Promise<{ child: ChildProcess; url: string }> {
  const main = new URL('../main.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--conditions=@banyan/source', main, 'registry', '--port', '0', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /listens on (\S+)/.exec(line)?.[1]
    if (url) return { child, url }
  }
  throw new Error('the registry ended without saying where it listens')
}

async function failure(...args: string[]): Promise<{ status: number; said: string }> {
  let said = ''
  const take = (text: string) => {
    said += text
  }
  const status = await runProgram(['registry', ...args], { write: take, writeError: take })
  return { status, said }
}

describe('banyan registry', () => {
  it('keeps its state across a restart, and lets in who has a token', async () => {
    const tokens = join(folder, 'tokens.json')
    writeFileSync(tokens, JSON.stringify({ tokens: [{ name: 'reader', secret: 'r', services: { '': 'read' } }] }))
    const args = ['--state-file', join(folder, 'data', 'registry.json'), '--tokens', tokens]
    const env = { BANYAN_REGISTRY_TOKEN: 'all' }
    const call = (url: string, method: string, path: string, token: string, body?: object) =>
      fetch(`${url}${path}`, { method, headers: { 'x-consul-token': token }, ...(body ? { body: JSON.stringify(body) } : {}) })
    const one = await start(args, env)
    expect((await call(one.url, 'PUT', '/v1/agent/service/register', 'r', { Name: 'orders' })).status).toBe(403)
    expect((await call(one.url, 'PUT', '/v1/agent/service/register', 'all', { Name: 'orders' })).status).toBe(200)
    expect(await end(one.child, 'SIGTERM')).toBe(0)
    const two = await start(args, env)
    expect(await (await call(two.url, 'GET', '/v1/catalog/services', 'r')).json()).toEqual({ orders: [] })
  })

  it('says in one line what is wrong', async () => {
    const nowhere = join(folder, 'none.json')
    expect(await failure('--host', '0.0.0.0', '--port', '0')).toEqual({
      status: 1,
      said: 'cannot start the registry at "0.0.0.0" without tokens: other machines may reach it; give a token or a token file, or listen at 127.0.0.1\n',
    })
    expect(await failure('--tokens', nowhere, '--port', '0')).toEqual({
      status: 1,
      said: expect.stringMatching(/^cannot use the token file ".*none.json": ENOENT[^\n]*\n$/),
    })
    expect((await failure('--longest-wait-ms', '5')).said).toContain('Wanted a whole number from 1000 to 3600000')
    expect((await failure('--state-fil', 'x')).said).toContain('Did you mean --state-file?')
    expect(existsSync(nowhere)).toBe(false)
  })
})
