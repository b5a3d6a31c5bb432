import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@banyan/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { registryServer } from './registry-server.ts'

const cleanups: (() => Promise<unknown>)[] = []
let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banyan-registry-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function started(options: Parameters<typeof registryServer>[0] = {}) {
  const server = registryServer({ port: 0, ...options })
  cleanups.push(() => server.stop())
  const { url, port } = await server.start()
  const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(`${url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  return { server, url, port, call }
}

const orders = (id: string, port: number, check: object = { TTL: '10s', Status: 'passing' }) => ({
  ID: id,
  Name: 'orders',
  Address: '127.0.0.1',
  Port: port,
  Tags: ['blue'],
  Meta: { version: '7' },
  Weights: { Passing: 5, Warning: 1 },
  Check: check,
})

// biome-ignore lint/suspicious/noExplicitAny: what a test expects of foreign JSON is its own check
type Json = any

async function json(response: Response | Promise<Response>): Promise<Json> {
  return (await response).json()
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (const limit = Date.now() + 10_000; Date.now() < limit; ) {
    if (await what()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('did not become true within 10 s')
}

test('answers in the shapes of Consul', async () => {
  const { call } = await started()
  expect((await call('PUT', '/v1/agent/service/register', orders('orders-1', 3001))).status).toBe(200)
  const response = await call('GET', '/v1/health/service/orders?passing')
  expect(Number(response.headers.get('x-consul-index'))).toBeGreaterThan(1)
  const [row] = await json(response)
  expect(row.Node.Address).toBe('127.0.0.1')
  expect(row.Service).toMatchObject({ ID: 'orders-1', Service: 'orders', Address: '127.0.0.1', Port: 3001, Tags: ['blue'] })
  expect(row.Service).toMatchObject({ Meta: { version: '7' }, Weights: { Passing: 5, Warning: 1 } })
  expect(row.Checks).toMatchObject([{ CheckID: 'service:orders-1', Status: 'passing', ServiceID: 'orders-1', Type: 'ttl' }])
  expect(await json(call('GET', '/v1/agent/services'))).toMatchObject({ 'orders-1': { Service: 'orders', Port: 3001 } })
  expect(await json(call('GET', '/v1/agent/checks'))).toMatchObject({ 'service:orders-1': { Status: 'passing' } })
  expect(await json(call('GET', '/v1/catalog/services'))).toEqual({ orders: ['blue'] })
  expect(await json(call('GET', '/v1/catalog/service/orders'))).toMatchObject([
    { ServiceID: 'orders-1', ServiceAddress: '127.0.0.1', ServicePort: 3001 },
  ])
  expect(await json(call('GET', '/v1/status/leader'))).toContain(':8300')
  expect((await call('GET', '/health/live')).status).toBe(200)
})

test('a check by TTL passes, warns, fails, and turns critical when nothing is heard', async () => {
  const { call } = await started()
  await call('PUT', '/v1/agent/service/register', orders('orders-1', 3001, { CheckID: 'beat', TTL: '300ms' }))
  const status = async () => (await json(call('GET', '/v1/agent/checks'))).beat.Status
  expect(await status()).toBe('critical')
  await call('PUT', '/v1/agent/check/warn/beat?note=slow')
  expect((await json(call('GET', '/v1/agent/checks'))).beat).toMatchObject({ Status: 'warning', Output: 'slow' })
  await call('PUT', '/v1/agent/check/update/beat', { Status: 'passing', Output: 'well' })
  expect(await status()).toBe('passing')
  expect(await json(call('GET', '/v1/health/service/orders?passing=true'))).toHaveLength(1)
  await until(async () => (await status()) === 'critical')
  expect(await json(call('GET', '/v1/health/service/orders?passing'))).toHaveLength(0)
  expect(await json(call('GET', '/v1/health/service/orders'))).toHaveLength(1)
  await call('PUT', '/v1/agent/check/pass/beat')
  await call('PUT', '/v1/agent/check/fail/beat')
  expect(await status()).toBe('critical')
})

test('an instance critical for long enough is taken out', async () => {
  const { call } = await started()
  await call(
    'PUT',
    '/v1/agent/service/register',
    orders('orders-1', 3001, { TTL: '100ms', Status: 'passing', DeregisterCriticalServiceAfter: '100ms' }),
  )
  await until(async () => (await json(call('GET', '/v1/health/service/orders'))).length === 0)
})

test.each(['0s', 0])('an instance that is to be taken out after %j of being critical stays, as in Consul', async (after) => {
  const { call } = await started()
  const check = { CheckID: 'beat', TTL: '10m', DeregisterCriticalServiceAfter: after }
  await call('PUT', '/v1/agent/service/register', orders('orders-1', 3001, check))
  expect((await call('PUT', '/v1/agent/check/pass/beat')).status).toBe(200)
  expect((await call('PUT', '/v1/agent/check/fail/beat')).status).toBe(200)
  expect((await call('PUT', '/v1/agent/check/pass/beat')).status).toBe(200)
  expect(await json(call('GET', '/v1/health/service/orders?passing'))).toHaveLength(1)
})

test('a blocking query sleeps through heartbeats and wakes within milliseconds of a change', async () => {
  const { call } = await started()
  await call('PUT', '/v1/agent/service/register', orders('orders-1', 3001))
  const first = await call('GET', '/v1/health/service/orders')
  const index = first.headers.get('x-consul-index')
  await first.text()
  let answered = 0
  const blocked = call('GET', `/v1/health/service/orders?index=${index}&wait=20s`).then((response) => {
    answered = performance.now()
    return response
  })
  await call('PUT', '/v1/agent/check/pass/service:orders-1')
  await call('PUT', '/v1/agent/service/register', { Name: 'other' })
  expect(answered).toBe(0)
  const changed = performance.now()
  await call('PUT', '/v1/agent/service/register', orders('orders-2', 3002))
  const response = await blocked
  expect(answered - changed).toBeLessThan(250)
  expect(Number(response.headers.get('x-consul-index'))).toBeGreaterThan(Number(index))
  expect(await json(response)).toHaveLength(2)
})

test('a blocking query answers unchanged when its wait is over, and at once for an index of another life', async () => {
  const { call } = await started()
  await call('PUT', '/v1/agent/service/register', orders('orders-1', 3001))
  const index = (await call('GET', '/v1/health/service/orders')).headers.get('x-consul-index')
  const response = await call('GET', `/v1/health/service/orders?index=${index}&wait=50ms`)
  expect(response.headers.get('x-consul-index')).toBe(index)
  const other = await call('GET', '/v1/health/service/orders?index=999999&wait=5m')
  expect(other.headers.get('x-consul-index')).toBe(index)
})

test('a client that sends questions on and on without waiting for answers is hung up on', async () => {
  const { call, port } = await started()
  const index = (await call('GET', '/v1/health/service/orders')).headers.get('x-consul-index')
  const question = `GET /v1/health/service/orders?index=${index}&wait=10m HTTP/1.1\r\nhost: registry\r\n\r\n`
  const client = connect(port, '127.0.0.1')
  client.on('error', () => {})
  cleanups.push(async () => void client.destroy())
  client.write(question.repeat(5_000))
  await until(async () => client.closed)
  expect((await call('GET', '/v1/catalog/services')).status).toBe(200)
})

test('a query for the whole catalog wakes for any service', async () => {
  const { call } = await started()
  const first = await call('GET', '/v1/catalog/services')
  const blocked = json(call('GET', `/v1/catalog/services?index=${first.headers.get('x-consul-index')}&wait=20s`))
  await call('PUT', '/v1/agent/service/register', { Name: 'billing', Port: 1 })
  expect(await blocked).toEqual({ billing: [] })
})

test('maintenance takes an instance out and back', async () => {
  const { call } = await started()
  await call('PUT', '/v1/agent/service/register', orders('orders-1', 3001))
  const passing = async () => (await json(call('GET', '/v1/health/service/orders?passing'))).length
  expect((await call('PUT', '/v1/agent/service/maintenance/orders-1?enable=true&reason=disk')).status).toBe(200)
  expect(await passing()).toBe(0)
  expect(await json(call('GET', '/v1/agent/checks'))).toMatchObject({
    '_service_maintenance:orders-1': { Status: 'critical', Notes: 'disk' },
  })
  await call('PUT', '/v1/agent/service/maintenance/orders-1?enable=false')
  expect(await passing()).toBe(1)
  expect((await call('PUT', '/v1/agent/service/maintenance/orders-1')).status).toBe(400)
  expect((await call('PUT', '/v1/agent/service/maintenance/nobody?enable=true')).status).toBe(404)
})

test('runs checks over HTTP and TCP itself', async () => {
  let status = 200
  const seen: (string | undefined)[] = []
  const web = createServer((request, response) => {
    seen.push(`${request.method} ${request.headers['x-probe']}`)
    response.writeHead(status).end('body of the check')
  })
  const tcp = createTcpServer((socket) => socket.end())
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve))
  const portOf = (address: unknown) => (address as { port: number }).port // both listen on TCP
  const [webPort, tcpPort] = [portOf(web.address()), portOf(tcp.address())]
  const endTcp = () => new Promise((resolve) => tcp.close(resolve))
  cleanups.push(() => new Promise((resolve) => web.close(resolve)), endTcp)
  const { call } = await started()
  const check = {
    HTTP: `http://127.0.0.1:${webPort}/health`,
    Interval: '100ms',
    Timeout: '5s',
    Header: { 'x-probe': ['yes'] },
    Method: 'HEAD',
  }
  await call('PUT', '/v1/agent/service/register', { ...orders('web', webPort, check) })
  await call('PUT', '/v1/agent/service/register', {
    Name: 'db',
    Port: tcpPort,
    Checks: [{ TCP: `127.0.0.1:${tcpPort}`, Interval: '100ms' }],
  })
  const checks = () => json(call('GET', '/v1/agent/checks'))
  await until(async () => (await checks())['service:web'].Status === 'passing' && (await checks())['service:db'].Status === 'passing')
  expect(seen[0]).toBe('HEAD yes')
  status = 429
  await until(async () => (await checks())['service:web'].Status === 'warning')
  status = 500
  await endTcp()
  await until(async () => (await checks())['service:web'].Status === 'critical' && (await checks())['service:db'].Status === 'critical')
  expect((await checks())['service:web'].Output).toContain('500')
})

test('checks of two instances with the same id are both run', async () => {
  const targets = await Promise.all(
    [0, 1].map(async () => {
      const target = createTcpServer((socket) => socket.end())
      await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
      const end = () => new Promise((resolve) => target.close(resolve))
      cleanups.push(end)
      return { end, port: (target.address() as { port: number }).port } // it listens on TCP
    }),
  )
  const { call } = await started()
  const passing = async (name: string) => (await json(call('GET', `/v1/health/service/${name}?passing`))).length === 1
  for (const [place, { port }] of targets.entries()) {
    const check = { CheckID: 'alive', TCP: `127.0.0.1:${port}`, Interval: '100ms' }
    await call('PUT', '/v1/agent/service/register', { Name: `service-${place}`, Check: check })
    await until(() => passing(`service-${place}`))
  }
  await targets[0]?.end()
  await until(async () => !(await passing('service-0')))
  expect(await passing('service-1')).toBe(true)
})

test('the state survives a restart, and living instances get their whole TTL again', async () => {
  const stateFile = join(folder, 'deep', 'registry.json')
  const one = await started({ stateFile })
  await one.call('PUT', '/v1/agent/service/register', orders('orders-1', 3001))
  await one.call(
    'PUT',
    '/v1/agent/service/register',
    orders('orders-2', 3002, { HTTP: 'http://127.0.0.1:1/', Interval: '10m', Header: { a: ['b'] } }),
  )
  await one.call('PUT', '/v1/agent/service/maintenance/orders-2?enable=true&reason=disk')
  const before = await one.call('GET', '/v1/health/service/orders')
  await one.server.stop()
  const two = await started({ stateFile })
  const after = await two.call('GET', '/v1/health/service/orders')
  expect(Number(after.headers.get('x-consul-index'))).toBeGreaterThan(Number(before.headers.get('x-consul-index')))
  const withoutIndexes = (rows: Json) =>
    JSON.parse(JSON.stringify(rows, (name, value) => (['CreateIndex', 'ModifyIndex', 'Output'].includes(name) ? undefined : value)))
  expect(withoutIndexes(await json(after))).toEqual(withoutIndexes(await json(before)))
})

test('the file is written while the registry runs, so that a crash loses next to nothing', async () => {
  const stateFile = join(folder, 'registry.json')
  const one = await started({ stateFile })
  await one.call('PUT', '/v1/agent/service/register', orders('orders-1', 3001))
  await until(async () => (await readFile(stateFile, 'utf8').catch(() => '')).includes('orders-1'))
})

test.each([
  ['not JSON', '{"version":1,'],
  ['JSON of another kind', '{"version":1,"index":3,"services":[{"definition":{"Name":7}}]}'],
])('a damaged state file (%s) is moved aside, said, and started without', async (_, text) => {
  const stateFile = join(folder, 'registry.json')
  await writeFile(stateFile, text)
  const said: string[] = []
  const log = { debug() {}, info() {}, warn() {}, error: (_fields: object, message: string) => void said.push(message) }
  const { call } = await started({ stateFile, log })
  expect(await json(call('GET', '/v1/agent/services'))).toEqual({})
  expect(said.join()).toContain('damaged')
  const aside = (await readdir(folder)).find((name) => name.includes('damaged')) ?? 'none'
  expect(await readFile(join(folder, aside), 'utf8')).toBe(text)
})

test('a state file that cannot be used stops the start with one clear line', async () => {
  await writeFile(join(folder, 'file'), '')
  const server = registryServer({ port: 0, stateFile: join(folder, 'file', 'registry.json') })
  await expect(server.start()).rejects.toMatchObject({ code: 'ERR_STATE_FILE', message: expect.stringContaining('registry.json') })
})

test('a port that is taken is said, and the registry can be started again once it is free', async () => {
  const one = await started()
  const two = registryServer({ port: one.port })
  cleanups.push(() => two.stop())
  await expect(two.start()).rejects.toMatchObject({
    code: 'ERR_PORT_TAKEN',
    message: expect.stringMatching(new RegExp(`port ${one.port} .*taken`)),
  })
  await two.stop()
  await one.server.stop()
  expect((await two.start()).port).toBe(one.port)
})

test('a second registry that finds the port taken leaves the state file of the first alone', async () => {
  const stateFile = join(folder, 'registry.json')
  const one = await started({ stateFile })
  await one.call('PUT', '/v1/agent/service/register', orders('orders-1', 3001))
  const before = await readFile(stateFile, 'utf8')
  const two = registryServer({ port: one.port, stateFile })
  cleanups.push(() => two.stop())
  await expect(two.start()).rejects.toMatchObject({ code: 'ERR_PORT_TAKEN' })
  expect(await readFile(stateFile, 'utf8')).toBe(before)
})

test('whoever stops it a second time, or starts it again, waits until it has stopped', async () => {
  const stateFile = join(folder, 'registry.json')
  const { server } = await started({ stateFile })
  const said: string[] = []
  const stops = [1, 2].map((time) => server.stop().then(() => said.push(`stopped ${time}`)))
  const again = server.start().then(() => said.push('started'))
  await Promise.all([...stops, again])
  expect(said).toEqual(['stopped 1', 'stopped 2', 'started'])
})

test('with a token, only those who have it may ask', async () => {
  const { call } = await started({ token: 'secret' })
  const refusal = await call('GET', '/v1/agent/services')
  expect(refusal.status).toBe(403)
  expect(refusal.headers.get('content-type')).toBe('application/problem+json')
  expect(await json(refusal)).toMatchObject({ status: 403, code: 'ERR_FORBIDDEN', title: 'Forbidden' })
  expect((await call('PUT', '/v1/agent/service/register', orders('a', 1), { 'x-consul-token': 'wrong' })).status).toBe(403)
  expect((await call('GET', '/v1/agent/services', undefined, { 'x-consul-token': 'secret' })).status).toBe(200)
  expect((await call('GET', '/v1/agent/services', undefined, { authorization: 'Bearer secret' })).status).toBe(200)
  expect((await call('GET', '/health/live')).status).toBe(200)
})

test('tokens of a file read and write what their rules say, and see nothing else', async () => {
  const tokenFile = join(folder, 'tokens.json')
  const tokens = [
    { name: 'orders', secret: 'o', services: { orders: 'write', public: 'read' } },
    { name: 'operator', secret: 'op', services: { '': 'write' }, node: 'write' },
  ]
  await writeFile(tokenFile, JSON.stringify({ tokens, anonymous: { services: { public: 'read' } } }))
  const { call } = await started({ tokenFile })
  const as = (token: string) => (token === '' ? {} : { 'x-consul-token': token })
  const put = (token: string, path: string, body?: unknown) => call('PUT', path, body, as(token))
  const get = (token: string, path: string) => call('GET', path, undefined, as(token))
  for (const name of ['orders', 'public', 'secret-service'])
    expect((await put('op', '/v1/agent/service/register', { Name: name, Check: { CheckID: `c-${name}`, TTL: '1m' } })).status).toBe(200)
  expect((await put('o', '/v1/agent/check/pass/c-orders')).status).toBe(200)
  const refused = await put('o', '/v1/agent/check/pass/c-public')
  expect([refused.status, (await json(refused)).detail]).toEqual([403, 'the token "orders" may not write the service "public"'])
  expect((await put('o', '/v1/agent/service/register', { ID: 'public', Name: 'orders' })).status).toBe(403)
  expect((await put('o', '/v1/agent/maintenance?enable=true')).status).toBe(403)
  expect((await put('o', '/v1/agent/check/register', { Name: 'clock', TTL: '1m' })).status).toBe(403)
  expect((await put('o', '/v1/catalog/register', { Node: 'n', Address: 'a', Service: { Service: 'orders' } })).status).toBe(403)
  expect(await json(get('o', '/v1/catalog/services'))).toEqual({ orders: [], public: [] })
  expect(Object.keys(await json(get('o', '/v1/agent/checks')))).toEqual(['c-orders', 'c-public'])
  expect((await get('o', '/v1/health/service/secret-service')).status).toBe(403)
  expect(await json(get('', '/v1/catalog/services'))).toEqual({ public: [] })
  expect((await get('nonsense', '/v1/catalog/services')).status).toBe(403)
  expect(Object.keys(await json(get('op', '/v1/agent/services')))).toHaveLength(3)
})

test('no token takes a heartbeat away from a service that it may not write', async () => {
  const tokenFile = join(folder, 'tokens.json')
  const tokens = ['orders', 'billing'].map((name) => ({ name, secret: name, services: { [name]: 'write' } }))
  await writeFile(tokenFile, JSON.stringify({ tokens }))
  const { call } = await started({ tokenFile })
  const put = (token: string, path: string, body?: unknown) => call('PUT', path, body, { 'x-consul-token': token })
  const beat = { CheckID: 'beat', TTL: '1m', Status: 'passing' }
  expect((await put('orders', '/v1/agent/service/register', { Name: 'orders', Check: beat })).status).toBe(200)
  const refused = await put('billing', '/v1/agent/service/register', { Name: 'billing', Check: beat })
  expect((await put('orders', '/v1/agent/check/pass/beat')).status).toBe(200)
  expect([refused.status, (await json(refused)).detail]).toEqual([403, 'the token "billing" may not write the service "orders"'])
  expect((await put('billing', '/v1/agent/service/register', { Name: 'billing' })).status).toBe(200)
  expect((await put('billing', '/v1/agent/check/register', { ...beat, Name: 'beat', ServiceID: 'billing' })).status).toBe(403)
  expect((await put('orders', '/v1/agent/check/pass/beat')).status).toBe(200)
  // Nor does it keep one from registering, by being there first under the id that the other's checks have by default.
  const first = { Name: 'billing', Check: { ...beat, CheckID: 'service:orders-2' } }
  expect((await put('billing', '/v1/agent/service/register', first)).status).toBe(200)
  expect((await put('orders', '/v1/agent/service/register', { ID: 'orders-2', Name: 'orders', Check: { TTL: '1m' } })).status).toBe(200)
  expect((await put('orders', '/v1/agent/check/pass/service:orders-2')).status).toBe(200)
})

test('what is on another node is not to be had by the paths of the agent, whatever the names', async () => {
  const tokenFile = join(folder, 'tokens.json')
  const tokens = [
    { name: 'redis', secret: 'r', services: { redis: 'write' } },
    { name: 'operator', secret: 'op', services: { '': 'write' }, node: 'write' },
  ]
  await writeFile(tokenFile, JSON.stringify({ tokens }))
  const { call } = await started({ tokenFile })
  const put = (token: string, path: string, body?: unknown) => call('PUT', path, body, { 'x-consul-token': token })
  const service = { ID: 'redis-1', Service: 'redis' }
  expect((await put('op', '/v1/catalog/register', { Node: 'node-2', Address: '10.0.0.2', Service: service })).status).toBe(200)
  // As the registry writes down where it is.
  const inside = encodeURIComponent('node-2\nredis-1')
  expect((await put('r', `/v1/agent/service/maintenance/${inside}?enable=true`)).status).toBe(404)
  expect((await put('r', `/v1/agent/service/deregister/${inside}`)).status).toBe(404)
  expect((await put('r', '/v1/agent/service/register', { ID: 'node-2\nredis-1', Name: 'redis' })).status).toBe(400)
  const odd = { Node: 'node-2\nredis', Address: '10.0.0.3', Service: { ...service, ID: '-1' } }
  expect((await put('op', '/v1/catalog/register', odd)).status).toBe(400)
  const rows = await json(call('GET', '/v1/health/service/redis', undefined, { 'x-consul-token': 'op' }))
  expect(rows.map((row: Json) => [row.Node.Node, row.Service.ID, row.Checks])).toEqual([['node-2', 'redis-1', []]])
})

test.each([
  ['{', 'JSON'],
  ['{"tokens":[{"name":"a"}]}', '"tokens[0].secret" is missing'],
  [undefined, 'ENOENT'],
])('a token file that cannot be used (%s) stops the start with one clear line', async (text, message) => {
  const tokenFile = join(folder, 'tokens.json')
  if (text !== undefined) await writeFile(tokenFile, text)
  await expect(registryServer({ port: 0, tokenFile }).start()).rejects.toMatchObject({
    code: 'ERR_TOKEN_FILE',
    message: expect.stringMatching(new RegExp(`^cannot use the token file ".*tokens.json": .*${message.replaceAll(/[[\]]/g, '.')}`)),
  })
})

test('a token that is empty is refused: nobody could send it', () => {
  expect(() => registryServer({ token: '' })).toThrow(
    new TypeError('cannot create registry: "token" is empty, wanted a secret, or none at all'),
  )
})

test('an address that other machines reach needs a token', async () => {
  await expect(registryServer({ host: '0.0.0.0', port: 0 }).start()).rejects.toMatchObject({
    code: 'ERR_TOKEN_NEEDED',
    message: expect.stringContaining('at "0.0.0.0" without tokens'),
  })
  const server = registryServer({ host: '0.0.0.0', port: 0, token: 'secret' })
  cleanups.push(() => server.stop())
  expect((await server.start()).url).toContain('http://127.0.0.1:')
})

test('a check whose target accepts and never replies is critical when its timeout is over', async () => {
  const silent = createTcpServer((socket) => void socket.on('error', () => {}).resume())
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise((resolve) => silent.close(resolve)))
  const { call } = await started()
  const { port } = silent.address() as { port: number } // it listens on TCP
  const check = { HTTP: `http://127.0.0.1:${port}/`, Interval: '1m', Timeout: '100ms', Status: 'passing' }
  await call('PUT', '/v1/agent/service/register', { Name: 'mute', Check: check })
  await until(async () => (await json(call('GET', '/v1/health/service/mute?passing'))).length === 0)
  expect((await json(call('GET', '/v1/health/checks/mute')))[0].Output).toBe('no answer within 100 ms')
})

test("what may be a secret in a check's address stays out of the log", async () => {
  const web = createServer((_request, response) => response.end('well'))
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise((resolve) => web.close(resolve)))
  const { port } = web.address() as { port: number } // it listens on TCP
  const said: string[] = []
  const { call } = await started({ log: { ...silentLogger, info: (_, text) => void said.push(text) } })
  const check = { HTTP: `http://shop:word@127.0.0.1:${port}/health?token=secret`, Interval: '100ms' }
  await call('PUT', '/v1/agent/service/register', { Name: 'web', Check: check })
  await until(async () => said.length > 1)
  expect(said[1]).toBe(`check "service:web" is passing: HTTP GET http://127.0.0.1:${port}/health: 200 Output: well`)
})

test('a check follows redirects unless it must not, and needs as many results in a row as it says', async () => {
  let hits = 0
  const web = createServer((request, response) => {
    if (request.url === '/') return response.writeHead(302, { location: '/here' }).end()
    hits += 1
    return response.writeHead(hits <= 2 ? 200 : 500).end('here')
  })
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise((resolve) => web.close(resolve)))
  const { call } = await started()
  const { port } = web.address() as { port: number } // it listens on TCP
  const check = { HTTP: `http://127.0.0.1:${port}/`, Interval: '100ms' }
  await call('PUT', '/v1/agent/service/register', { Name: 'strict', Check: { ...check, DisableRedirects: true } })
  await until(async () => (await json(call('GET', '/v1/health/checks/strict')))[0].Output.includes(': 302 '))
  const patient = { ...check, SuccessBeforePassing: 2, FailuresBeforeWarning: 2, FailuresBeforeCritical: 4 }
  await call('PUT', '/v1/agent/service/register', { Name: 'patient', Check: patient })
  const seen = ['critical']
  for (let index = '0'; seen.length < 4; ) {
    const answer = await call('GET', `/v1/health/checks/patient?index=${index}&wait=10s`)
    index = answer.headers.get('x-consul-index') ?? '0'
    const [{ Status }] = await json(answer)
    if (Status !== seen.at(-1)) seen.push(Status)
  }
  expect(seen).toEqual(['critical', 'passing', 'warning', 'critical'])
  // Two good ones, then at least two and four bad ones.
  expect(hits).toBeGreaterThanOrEqual(6)
})

test.each([
  ['PUT', '/v1/agent/service/register', '{"Name":', 400, 'not JSON'],
  ['PUT', '/v1/agent/service/register', '[]', 400, 'wanted an object'],
  ['PUT', '/v1/agent/service/register', '{}', 400, '"Name" is missing'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Prot":1}', 400, 'unknown field "Prot"'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Port":70000}', 400, '"Port" is 70000, wanted a whole number from 0 to 65535'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Port":"80"}', 400, '"Port" is "80"'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Check":{"TTL":"10"}}', 400, '"Check.TTL" is "10", wanted a duration'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Check":{"TTL":"0s"}}', 400, '"Check.TTL"'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Check":{}}', 400, '"Check" has 0 of TTL, HTTP and TCP'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Check":{"HTTP":"http://x/"}}', 400, '"Check.Interval" is missing'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Checks":[{"TCP":"x","Interval":"1s"}]}', 400, '"Checks[0].TCP" is "x"'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Check":{"Args":["rm"],"Interval":"1s"}}', 400, 'wanted one'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Check":{"Args":["rm"],"TTL":"1s"}}', 400, '"Check.Args" is not supported'],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Check":{"Status":"green","TTL":"1s"}}', 400, '"Check.Status" is "green"'],
  ['PUT', '/v1/agent/service/register', JSON.stringify({ Name: 'a', Meta: { big: 'x'.repeat(600_000) } }), 413, 'larger than'],
  ['PUT', '/v1/agent/service/deregister/nobody', undefined, 404, 'unknown service id "nobody"'],
  ['PUT', '/v1/agent/check/pass/nobody', undefined, 404, 'unknown check id "nobody"'],
  ['PUT', '/v1/agent/check/pass/%ff', undefined, 400, 'percent-encoded'],
  ['GET', '/v1/agent/service/register', undefined, 405, 'takes PUT, not GET'],
  ['GET', '/v1/health/service/a?index=x', undefined, 400, '"index" is "x"'],
  ['GET', '/v1/health/service/a?index=1&wait=10', undefined, 400, '"wait" is "10"'],
  ['GET', '/v1/health/service/a?passing=maybe', undefined, 400, '"passing" is "maybe"'],
  ['GET', '/v1/health/service/a?filter=x', undefined, 400, '"filter" has its end where'],
  ['GET', '/v1/catalog/services?filter=x', undefined, 400, '"filter" is not supported at "/v1/catalog/services"'],
  ['GET', '/v1/health/service/a?dc=mars', undefined, 400, '"dc" is "mars"'],
  ['GET', '/v1/health/service/a?node-meta=a:b', undefined, 400, '"node-meta" is not supported'],
  ['GET', '/v1/health/state/odd', undefined, 400, 'the state is "odd"'],
  ['GET', '/v1/agent/service/a?hash=x', undefined, 400, '"hash" is not supported'],
  ['GET', '/v1/agent/service/a', undefined, 404, 'unknown service id "a"'],
  ['PUT', '/v1/agent/check/register', '{"TTL":"1s"}', 400, '"Name" is missing'],
  ['PUT', '/v1/agent/check/register', '{"Name":"a","ServiceID":"b","TTL":"1s"}', 404, 'unknown service id "b"'],
  ['PUT', '/v1/agent/check/register', '{"Name":"a","TTL":"1s","DeregisterCriticalServiceAfter":"1m"}', 400, 'checks of a service'],
  ['PUT', '/v1/agent/check/deregister/nobody', undefined, 404, 'unknown check id "nobody"'],
  [
    'PUT',
    '/v1/agent/service/register',
    '{"Name":"a","Check":{"HTTP":"http://x/","Interval":"1s","TLSServerName":"y"}}',
    400,
    'not supported',
  ],
  ['PUT', '/v1/agent/service/register', '{"Name":"a","Check":{"TTL":"1s","FailuresBeforeWarning":3}}', 400, 'wanted at most'],
  ['PUT', '/v1/catalog/register', '{"Node":"n"}', 400, '"Address" is missing'],
  ['PUT', '/v1/catalog/register', '{"Node":"banyan","Address":"x"}', 400, "the registry's own"],
  ['PUT', '/v1/catalog/register', '{"Node":"n","Address":"x","Check":{"CheckID":"c","ServiceID":"s"}}', 400, 'is no service of "n"'],
  ['PUT', '/v1/kv/a', 'x', 501, 'does not have'],
  ['GET', '/v1/nothing', undefined, 404, 'nothing at "/v1/nothing"'],
])('%s %s with %.60s is refused clearly', async (method, path, body, status, detail) => {
  const { call } = await started()
  const response = await call(method, path, body)
  expect(response.status).toBe(status)
  expect((await json(response)).detail).toContain(detail)
  // Nothing of it stuck.
  expect(await json(call('GET', '/v1/agent/services'))).toEqual({})
})

test('takes field names in the spellings that Consul takes', async () => {
  const { call } = await started()
  const body = {
    name: 'a',
    port: 1,
    check: { ttl: '1m', deregister_critical_service_after: '1m30s' },
    Kind: '',
    Proxy: null,
    EnableTagOverride: false,
  }
  expect((await call('PUT', '/v1/agent/service/register', body)).status).toBe(200)
  expect(await json(call('GET', '/v1/agent/services'))).toMatchObject({ a: { Service: 'a', Port: 1 } })
})

test('a connection that the system cannot give ends nothing, and is told of', async () => {
  const servers: Server[] = []
  // Where Node tells which servers have begun to listen, and what it publishes there.
  const note = (message: unknown) => void servers.push((message as { server: Server }).server)
  const warnings: string[] = []
  subscribe('tracing:net.server.listen:asyncEnd', note)
  const { call } = await started({ log: { ...silentLogger, warn: (_, text) => void warnings.push(text) } })
  unsubscribe('tracing:net.server.listen:asyncEnd', note)
  // As Node does it when accept(2) fails. Twice: whoever waited for the start may still have heard the first one.
  for (let n = 0; n < 2; n += 1) servers[0]?.emit('error', new Error('accept ENOBUFS'))
  expect(warnings).toEqual(Array.from({ length: 2 }, () => 'a connection to the registry could not be accepted: accept ENOBUFS'))
  expect((await call('GET', '/v1/catalog/services')).status).toBe(200)
})
