import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { staticRegistry } from '@banyan/discovery'
import { describe, expect, it, onTestFinished } from 'vitest'
import { adminRoutes } from './admin-routes.ts'
import { type GatewayOptions, gateway } from './gateway.ts'
import { bodyOf, echo, start, until } from './test/harness.ts'

const TOKEN = 'a-token-of-sixteen'

/** A gateway with a file, and its admin port. */
async function managed(rest = '', more: Partial<GatewayOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-gateway-'))
  const file = join(folder, 'gateway.yaml')
  const service = await echo()
  const text = (path: string, extra = rest) =>
    `listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nadmin_token: \${TOKEN}\nlinger_ms: 0\ndrain_ms: 100\n${extra}routes:\n  - path: ${path}\n    url: ${service.url}\n`
  writeFileSync(file, text('/one'))
  const made = gateway({ file, registry: staticRegistry({}), env: { TOKEN }, ...more })
  onTestFinished(async () => {
    await made.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const { url, adminUrl = '' } = await made.start()
  const ask = async (
    method: string,
    path: string,
    body?: string,
    headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` },
  ) => {
    const response = await fetch(`${adminUrl}${path}`, { method, headers, ...(body !== undefined && { body }) })
    const said = await response.text()
    // What it answers with is an object, where it is JSON.
    return { status: response.status, said, json: said.startsWith('{') ? (JSON.parse(said) as Record<string, unknown>) : {} }
  }
  const statusOf = async (path: string) => (await fetch(`${url}${path}`)).status
  return { folder, file, text, ask, statusOf, adminUrl }
}

/** A log, and the sentences in it. */
function logged() {
  const lines: string[] = []
  const write = (_: object, message: string) => void lines.push(message)
  return { lines, log: { debug: write, info: write, warn: write, error: write } }
}

describe('the admin port', () => {
  it('shows the file as it was written, the routes and the services behind', async () => {
    const { ask, text } = await managed()
    expect(await ask('GET', '/config')).toMatchObject({ status: 200, said: text('/one') })
    expect((await ask('GET', '/routes')).json).toMatchObject({ routes: [{ path: '/one' }] })
    expect((await ask('GET', '/upstreams')).json).toMatchObject({ upstreams: [{ breaker: 'closed', instances: 1 }] })
    expect((await ask('GET', '/config')).said).not.toContain(TOKEN)
  })

  it('looks a file over and says what it would change, and changes nothing', async () => {
    const { ask, text, statusOf, file } = await managed()
    expect((await ask('POST', '/check', text('/two'))).json).toEqual({ good: true, routes: 1 })
    expect((await ask('POST', '/diff', text('/two'))).json).toMatchObject({
      differs: true,
      added: ['/two'],
      removed: ['/one'],
      text: ['- route /one', '+ route /two'],
    })
    expect((await ask('POST', '/diff')).json).toMatchObject({ differs: false, text: [] })
    const bad = await ask('POST', '/check', text('/two', 'max_body_byte: 1\n'))
    expect(bad).toMatchObject({ status: 422, json: { code: 'ERR_CONFIG_INVALID' } })
    expect(bad.json.detail).toMatch(/gateway\.yaml:6:1: unknown key "max_body_byte" in the file; did you mean "max_body_bytes"\?/)
    expect([await statusOf('/one'), await statusOf('/two')]).toEqual([200, 404])
    expect(readFileSync(file, 'utf8')).toBe(text('/one'))
  })

  it('takes a file, keeps what was good, and goes back to it', async () => {
    const { ask, text, statusOf, file } = await managed()
    expect((await ask('POST', '/reload', text('/two', 'max_body_bytes: 7\n'))).json).toMatchObject({
      text: ['~ max_body_bytes: nothing -> 7', '- route /one', '+ route /two'],
    })
    expect([await statusOf('/one'), await statusOf('/two')]).toEqual([404, 200])
    expect(readFileSync(file, 'utf8')).toBe(text('/two', 'max_body_bytes: 7\n'))
    const { history } = (await ask('GET', '/history')).json
    expect(history).toMatchObject([
      { id: 2, source: 'api' },
      { id: 1, source: 'start' },
    ])
    expect((await ask('POST', '/rollback?id=1')).json).toMatchObject({ added: ['/one'], removed: ['/two'] })
    expect([await statusOf('/one'), await statusOf('/two')]).toEqual([200, 404])
    expect((await ask('GET', '/history')).json).toMatchObject({ history: [{ id: 3, source: 'rollback to 1' }, {}, {}] })
    expect(await ask('POST', '/rollback?id=9')).toMatchObject({
      status: 404,
      json: { detail: expect.stringContaining('there are 1 to 3') },
    })
    expect(await ask('POST', '/rollback?id=x')).toMatchObject({ status: 400 })
  })

  it('keeps the last twenty, without the values of variables', async () => {
    const { ask, text, folder } = await managed()
    for (let n = 0; n < 25; n += 1) expect((await ask('POST', '/reload', text(`/n${n}`))).status).toBe(200)
    const kept = readdirSync(join(folder, 'gateway.yaml.history'))
    expect(kept).toHaveLength(20)
    for (const name of kept) expect(readFileSync(join(folder, 'gateway.yaml.history', name), 'utf8')).not.toContain(TOKEN)
  })

  it('goes on with a history of which one file is broken', async () => {
    const { ask, text, folder } = await managed()
    expect((await ask('POST', '/reload', text('/two'))).status).toBe(200)
    writeFileSync(join(folder, 'gateway.yaml.history', '000002.json'), '')
    expect((await ask('GET', '/history')).json).toMatchObject({ history: [{ id: 1 }] })
    expect((await ask('POST', '/reload', text('/three'))).status).toBe(200)
    expect((await ask('GET', '/history')).json).toMatchObject({ history: [{ id: 3 }, { id: 1 }] })
    expect(await ask('POST', '/rollback?id=2')).toMatchObject({
      status: 404,
      json: { detail: expect.stringContaining('configuration 2 of the history cannot be read') },
    })
    expect((await ask('POST', '/rollback?id=1')).status).toBe(200)
  })

  it('takes no bad file, not from a body and not from the disk, and the file stays as it was', async () => {
    const { ask, text, file, statusOf } = await managed()
    for (const bad of ['routes: []', 'routes: [', text('/two', 'rubbish\n'), text('two')]) {
      expect((await ask('POST', '/reload', bad)).status).toBe(422)
      expect(readFileSync(file, 'utf8')).toBe(text('/one'))
    }
    // Good by itself, but this gateway cannot have it.
    const unfit =
      text('/two').replace('routes:', 'redis: redis://127.0.0.1:1\nroutes:') +
      '    plugins: [{ name: rate-limiting, config: { minute: 1, shared: true } }]\n'
    expect(await ask('POST', '/reload', unfit)).toMatchObject({
      status: 500,
      json: { detail: expect.stringContaining('no place to count together') },
    })
    expect(readFileSync(file, 'utf8')).toBe(text('/one'))
    expect([await statusOf('/one'), await statusOf('/two')]).toEqual([200, 404])
  })

  it('shows and keeps nothing that the gateway does not take from the disk', async () => {
    const { lines, log } = logged()
    const { ask, text, file, statusOf } = await managed('', { log })
    const plugins = '    plugins: [{ name: rate-limiting, config: { minute: 1, shared: true } }]\n'
    writeFileSync(file, text('/two', 'redis: redis://127.0.0.1:1\n') + plugins)
    await until(() => lines.some((line) => /not taken.*no place to count together/.test(line)), 'the complaint')
    expect(await ask('GET', '/config')).toMatchObject({ said: text('/one') })
    writeFileSync(file, text('/three'))
    await until(() => lines.includes('the gateway has a new configuration'), 'the good file')
    expect(await statusOf('/three')).toBe(200)
    let history: unknown[] = []
    while (history.length < 2) history = (await ask('GET', '/history')).json.history as unknown[]
    expect(history).toMatchObject([
      { id: 2, source: 'file' },
      { id: 1, source: 'start' },
    ])
    expect(await ask('GET', '/config')).toMatchObject({ said: text('/three') })
  })

  it('puts the file back that has vanished', async () => {
    const { ask, text, file, statusOf } = await managed()
    rmSync(file)
    expect((await ask('POST', '/reload')).status).toBe(500)
    expect((await ask('POST', '/reload', 'routes: []')).status).toBe(422)
    expect(existsSync(file)).toBe(false)
    expect(await ask('POST', '/rollback?id=1')).toMatchObject({ status: 200 })
    expect([readFileSync(file, 'utf8'), await statusOf('/one')]).toEqual([text('/one'), 200])
  })

  it('lets nobody read what it writes who could not before, and leaves a link where it is', async () => {
    const { ask, text, file, folder } = await managed()
    const real = join(folder, 'real.yaml')
    renameSync(file, real)
    chmodSync(real, 0o640)
    symlinkSync('real.yaml', file)
    expect((await ask('POST', '/reload', text('/two'))).status).toBe(200)
    expect(lstatSync(file).isSymbolicLink()).toBe(true)
    expect([readFileSync(real, 'utf8'), statSync(real).mode & 0o777]).toEqual([text('/two'), 0o640])
    const history = join(folder, 'gateway.yaml.history')
    for (const name of readdirSync(history)) expect([name, statSync(join(history, name)).mode & 0o777]).toEqual([name, 0o600])
  })

  it('tells nothing and changes nothing without its token', async () => {
    const { ask, text, adminUrl } = await managed()
    for (const { method, path, isOpen } of adminRoutes) {
      if (isOpen) continue
      expect([path, (await ask(method, path, undefined, {})).status]).toEqual([path, 401])
      expect([path, (await ask(method, path, undefined, { authorization: 'Bearer another-token-here' })).status]).toEqual([path, 403])
    }
    expect((await ask('POST', '/reload', text('/two'), {})).status).toBe(401)
    // A page whose name leads here.
    const answer = await new Promise<number>((resolve, reject) => {
      const options = { headers: { host: 'evil.example', authorization: `Bearer ${TOKEN}` } }
      request(`${adminUrl}/config`, options, (response) => void bodyOf(response).then(() => resolve(response.statusCode ?? 0)))
        .on('error', reject)
        .end()
    })
    expect(answer).toBe(421)
  })

  it('goes by the token of the file in force: one that was taken away is worth nothing any more', async () => {
    const { ask, text } = await managed()
    const renewed = text('/one').replace('${TOKEN}', 'another-token-of-some-length')
    expect((await ask('POST', '/reload', renewed)).status).toBe(200)
    expect((await ask('GET', '/config')).status).toBe(403)
    const headers = { authorization: 'Bearer another-token-of-some-length' }
    expect((await ask('GET', '/config', undefined, headers)).status).toBe(200)
    expect((await ask('POST', '/reload', text('/one').replace(/admin_token.*\n/, ''), headers)).status).toBe(200)
    expect((await ask('GET', '/config', undefined, headers)).status).toBe(403)
  })

  it('shows and changes nothing where the file names no token, and keeps no history', async () => {
    const { adminUrl } = await start({ routes: [{ path: '/', url: 'http://127.0.0.1:1' }] })
    expect((await fetch(`${adminUrl}/health/ready`)).status).toBe(200)
    const answer = await fetch(`${adminUrl}/config`, { headers: { authorization: 'Bearer x' } })
    expect([answer.status, ((await answer.json()) as { detail: string }).detail]).toEqual([403, expect.stringContaining('admin_token')])
    expect(existsSync('gateway.yaml.history')).toBe(false)
  })

  it('describes all that it answers', async () => {
    const { ask, adminUrl } = await managed()
    const { paths, openapi } = (await ask('GET', '/openapi.json', undefined, {})).json as { paths: Record<string, object>; openapi: string }
    expect(openapi).toBe('3.1.0')
    const described = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`))
    expect(described.sort()).toEqual(adminRoutes.map(({ method, path }) => `${method.toLowerCase()} ${path}`).sort())
    for (const { method, path } of adminRoutes) {
      const { status } = await ask(method, path)
      expect([path, status === 404 && path !== '/metrics']).toEqual([path, false])
    }
    expect((await ask('GET', '/nothing')).status).toBe(404)
    expect((await ask('DELETE', '/config')).status).toBe(405)
    expect((await fetch(`${adminUrl}/config`, { method: 'DELETE' })).headers.get('allow')).toBe('GET')
  })

  it('refuses a body that is too large, and a token that is too short to be one', async () => {
    const { ask } = await managed()
    expect((await ask('POST', '/check', 'x'.repeat(5_000_000))).status).toBe(413)
    await expect(start({ admin_token: 'short', routes: [{ path: '/', url: 'http://127.0.0.1:1' }] })).rejects.toThrow(
      /at least 16 characters/,
    )
  })
})
