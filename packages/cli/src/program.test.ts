import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configJsonSchema } from '@banyan/gateway'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runProgram } from './program.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-cli-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const status = await runProgram(args, {
    write: (text) => {
      out += text
    },
    writeError: (text) => {
      err += text
    },
  })
  return { status, out, err }
}

describe('banyan', () => {
  it.each([
    ['--help'],
    ['dev', '--help'],
    ['gateway', '--help'],
    ['registry', '--help'],
    ['saga', '--help'],
    ['dead-letters', '--help'],
    ['flow', '--help'],
    ['saga', 'retry', '--help'],
    ['flow', 'ack', '--help'],
    ['dead-letters', 'list', '--help'],
    ['gateway', 'run', '--help'],
  ])('shows examples in %s %s %s', async (...args) => {
    const { status, out } = await run(...args)
    expect(status).toBe(0)
    expect(out).toContain('Examples:')
  })

  it.each([
    [['deadletters'], 'Did you mean dead-letters?'],
    [['saga', 'lst'], 'Did you mean list?'],
    [['flow', 'list', '--flag', 'stoped'], 'Did you mean "stopped"?'],
    [['flow', 'diagram', 'no-such-file.ts'], 'cannot read "no-such-file.ts"'],
    [['registry', '--prot', '1'], 'Did you mean --port?'],
    [['dev', 'x.ts', '--processes', 'on'], 'Did you mean "one"?'],
    [['registry', '--port', '85000'], 'Wanted a whole number from 0 to 65535'],
    [['registry', '--port', ' '], 'Wanted a whole number from 0 to 65535'],
    [['dead-letters', 'list'], 'name the database'],
    [['dead-letters', 'redrive', '--db', 'x', '--why', 'y'], 'say which to redrive'],
  ])('answers 2 to %j and says what is wanted', async (args, message) => {
    const { status, err } = await run(...args)
    expect(status).toBe(2)
    expect(err).toContain(message)
  })

  it('does not make a database that is not there, and names the nearest', async () => {
    writeFileSync(join(folder, 'orders.db'), '')
    const { status, err } = await run('dead-letters', 'list', '--data-dir', folder, '--service', 'order')
    expect(status).toBe(1)
    expect(err).toContain(`did you mean "${join(folder, 'orders.db')}"?`)
    expect(readdirSync(folder)).toEqual(['orders.db'])
  })

  it('makes an API key whose hash the gateway file takes, and another one each time', async () => {
    const { status, out } = await run('gateway', 'new-key', 'a partner')
    const [, key = '', line = ''] = /^key, shown this once: (\S+)\n(keys: .*)\n$/.exec(out) ?? []
    expect([status, line]).toEqual([0, `keys: [{ name: "a partner", hash: "sha256:${createHash('sha256').update(key).digest('hex')}" }]`])
    const file = join(folder, 'gateway.yaml')
    writeFileSync(file, `routes: [{ path: /, service: a, plugins: [{ name: key-auth, config: { ${line} } }] }]`)
    expect((await run('gateway', 'check', file)).status).toBe(0)
    expect((await run('gateway', 'new-key', 'a partner')).out).not.toBe(out)
  })

  it('prints the JSON Schema of a gateway file', async () => {
    const { status, out } = await run('gateway', 'schema')
    expect([status, JSON.parse(out)]).toEqual([0, JSON.parse(JSON.stringify(configJsonSchema()))])
  })

  it('names file, line and the nearest key of a gateway file with a typo', async () => {
    const file = join(folder, 'gateway.yaml')
    writeFileSync(file, 'listen: 8080\nroutes:\n  - path: /a\n    url: http://127.0.0.1:1\n    strip_pth: true\n')
    const { status, err } = await run('gateway', 'check', file)
    expect(status).toBe(1)
    expect(err).toContain(`${file}:5:5: unknown key "strip_pth" in route 1; did you mean "strip_path"?`)
  })
})
