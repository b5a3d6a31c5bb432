import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemWorld } from '@banyan/core'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Supervisor, supervisor } from './supervisor.ts'

const { execPath, execArgv } = process
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-supervisor-'))
})
afterEach(() => {
  process.execPath = execPath
  process.execArgv = execArgv
  rmSync(folder, { recursive: true, force: true })
})

function programOf(code: string): string {
  const file = join(folder, 'program.mjs')
  writeFileSync(file, code)
  return file
}

function supervised(program: string, more: Partial<Parameters<typeof supervisor>[0]> = {}): Supervisor {
  return supervisor({ name: 'toy', args: [program], env: process.env, world: systemWorld, onLine: () => {}, stopMs: 1_000, ...more })
}

describe('a supervisor', () => {
  it('says that the system starts no process, and can be stopped', async () => {
    process.execPath = '/no/such/node'
    const toy = supervised('toy.ts')
    await expect(toy.start()).rejects.toThrow(/^process "toy" did not start: .*ENOENT/)
    expect(toy.state).toBe('waiting')
    await toy.stop()
    expect(toy.state).toBe('stopped')
  }, 5_000)

  it('starts its program, not what this process was given to evaluate', async () => {
    const program = programOf(`process.send({ ready: true }); process.on('disconnect', () => process.exit())`)
    for (const given of [['-e'], ['--eval'], ['-pe'], ['--input-type=module', '--print']]) {
      process.execArgv = [...given, `process.send({ failed: 'evaluated once more' })`]
      const toy = supervised(program)
      await toy.start()
      await toy.stop()
    }
  }, 60_000)

  it('gives on lines as they were printed, whatever signs are in them', async () => {
    const lines: string[] = []
    const program = programOf(`console.log('{"message":"a\\u2028b\\u2029c"}\\r\\n\\nä'); process.stdout.write('the end')`)
    const toy = supervised(program, { onLine: (_, line) => void lines.push(line) })
    await expect(toy.start()).rejects.toThrow('did not start')
    await toy.stop()
    await vi.waitFor(() => expect(lines).toContain('the end'), 10_000)
    expect(lines.filter((line) => !line.startsWith('ended by'))).toEqual(['{"message":"a\u2028b\u2029c"}', '', 'ä', 'the end'])
  }, 60_000)

  it('starts a process anew also when it does not end when it is asked to', async () => {
    const toy = supervised(
      programOf(`process.on('SIGTERM', () => {}); process.send({ ready: true }); process.on('disconnect', () => process.exit())`),
      {
        stopMs: 100,
      },
    )
    await toy.start()
    const { pid } = toy
    await toy.renew()
    expect(toy.state).toBe('ready')
    expect(toy.pid).not.toBe(pid)
    await toy.stop()
  }, 60_000)
})
