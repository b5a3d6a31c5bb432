// The registry through clients that were written for Consul: the npm package "consul", and curl.
import { execFile, spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import Consul from 'consul'
import { afterEach, describe, expect, it } from 'vitest'
import { type RegistryServerOptions, registryServer } from './registry-server.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function started(options: RegistryServerOptions = {}) {
  const server = registryServer({ port: 0, ...options })
  cleanups.push(() => server.stop())
  return server.start()
}

// biome-ignore lint/suspicious/noExplicitAny: what a test expects of foreign JSON is its own check
type Json = any

describe('the npm package "consul"', () => {
  async function client(options: RegistryServerOptions = {}, token?: string) {
    const { port } = await started(options)
    return new Consul({ host: '127.0.0.1', port, ...(token === undefined ? {} : { defaults: { token } }) })
  }

  it('registers, passes, warns, fails, lists and deregisters', async () => {
    const consul = await client()
    const check = { name: 'beat', ttl: '30s', deregistercriticalserviceafter: '10m' }
    await consul.agent.service.register({ name: 'orders', id: 'o-1', address: '10.0.0.7', port: 3001, tags: ['blue'], check } as Json)
    expect(await consul.health.service({ service: 'orders', passing: true })).toEqual([])
    await consul.agent.check.pass({ id: 'service:o-1', note: 'well' })
    const rows: Json = await consul.health.service({ service: 'orders', passing: true, tag: 'blue' })
    expect(rows).toMatchObject([{ Service: { ID: 'o-1', Port: 3001 }, Checks: [{ Status: 'passing', Output: 'well' }] }])
    await consul.agent.check.warn('service:o-1')
    expect(await consul.health.state('warning')).toMatchObject([{ CheckID: 'service:o-1', ServiceName: 'orders' }])
    await consul.agent.check.fail('service:o-1')
    expect(await consul.health.checks('orders')).toMatchObject([{ Status: 'critical' }])
    expect(await consul.agent.services()).toMatchObject({ 'o-1': { Service: 'orders' } })
    expect(await consul.catalog.services()).toEqual({ orders: ['blue'] })
    expect(await consul.catalog.service.nodes('orders')).toMatchObject([{ ServiceID: 'o-1', ServiceAddress: '10.0.0.7' }])
    await consul.agent.service.deregister('o-1')
    expect(await consul.agent.services()).toEqual({})
  })

  it('has its watch woken by each change, and by nothing else', async () => {
    const consul = await client()
    const seen: number[] = []
    const arrived = Promise.withResolvers<void>()
    const watch = consul.watch({ method: consul.health.service, options: { service: 'orders', wait: '20s' } as Json })
    cleanups.push(() => watch.end())
    watch.on('error', arrived.reject)
    watch.on('change', (rows: Json) => {
      seen.push(rows.length)
      if (rows.length < 2) void consul.agent.service.register({ name: 'orders', id: `o-${rows.length}`, port: 3001 + rows.length })
      else arrived.resolve()
    })
    await arrived.promise
    expect(seen).toEqual([0, 1, 2])
  })

  it('takes a service, and the whole node, into maintenance and back', async () => {
    const consul = await client()
    await consul.agent.service.register({ name: 'orders', id: 'o-1', port: 3001 })
    const passing = async () => ((await consul.health.service({ service: 'orders', passing: true })) as Json[]).length
    await consul.agent.service.maintenance({ id: 'o-1', enable: true, reason: 'disk' })
    expect(await passing()).toBe(0)
    await consul.agent.service.maintenance({ id: 'o-1', enable: false })
    expect(await passing()).toBe(1)
    await consul.agent.maintenance({ enable: true, reason: 'kernel' })
    expect(await passing()).toBe(0)
    const [node]: Json[] = await consul.catalog.nodes({})
    expect(await consul.health.node(node.Node)).toMatchObject([{ CheckID: '_node_maintenance', Notes: 'kernel', Status: 'critical' }])
    await consul.agent.maintenance(false)
    expect(await passing()).toBe(1)
  })

  it('adds a check to a service and takes it away again; a check of the node counts for all', async () => {
    const consul = await client()
    await consul.agent.service.register({ name: 'orders', id: 'o-1', port: 3001 })
    const passing = async () => ((await consul.health.service({ service: 'orders', passing: true })) as Json[]).length
    await consul.agent.check.register({ name: 'disk', ttl: '30s', serviceid: 'o-1' } as Json)
    expect(await passing()).toBe(0)
    expect(await consul.agent.checks()).toMatchObject({ disk: { ServiceID: 'o-1', Status: 'critical' } })
    await consul.agent.check.deregister('disk')
    expect(await passing()).toBe(1)
    await consul.agent.check.register({ name: 'clock', ttl: '30s' } as Json)
    expect(await passing()).toBe(0)
    await consul.agent.check.pass('clock')
    expect(await passing()).toBe(1)
  })

  it('registers nodes and services of elsewhere in the catalog', async () => {
    const consul = await client()
    const check = { name: 'up', checkid: 'up', status: 'passing', serviceid: 'db-1' }
    await consul.catalog.register({
      node: 'legacy',
      address: '10.1.1.1',
      service: { service: 'db', id: 'db-1', port: 5432 },
      check,
    } as Json)
    expect(await consul.health.service('db')).toMatchObject([
      { Node: { Node: 'legacy', Address: '10.1.1.1' }, Service: { ID: 'db-1' }, Checks: [{ CheckID: 'up', Status: 'passing' }] },
    ])
    expect(await consul.catalog.node.services('legacy')).toMatchObject({ Services: { 'db-1': { Port: 5432 } } })
    expect(await consul.agent.services()).toEqual({})
    await consul.catalog.deregister('legacy')
    expect(await consul.catalog.services()).toEqual({})
    expect(((await consul.catalog.nodes({})) as Json[]).map(({ Node }) => Node)).toEqual(['banyan'])
  })

  it('filters as Consul does', async () => {
    const consul = await client()
    for (const [i, tags] of [['blue'], ['red'], ['blue', 'old']].entries())
      await consul.agent.service.register({ name: 'orders', id: `o-${i}`, port: 3001 + i, tags, meta: { zone: i === 0 ? 'a' : 'b' } })
    const filter = 'Service.Meta.zone == "b" and ("blue" in Service.Tags)'
    const rows: Json[] = await consul.health.service({ service: 'orders', filter })
    expect(rows.map(({ Service }) => Service.ID)).toEqual(['o-2'])
    expect(Object.keys(await consul.agent.services({ filter: 'Meta.zone != b' } as Json))).toEqual(['o-0'])
    await expect(consul.health.service({ service: 'orders', filter: 'Colour == blue' })).rejects.toMatchObject({ statusCode: 400 })
  })

  it('finds who the agent is', async () => {
    const consul = await client()
    expect(await consul.agent.self()).toMatchObject({ Config: { Datacenter: 'dc1', NodeName: 'banyan' } })
    expect(await consul.agent.members({})).toMatchObject([{ Name: 'banyan', Status: 1 }])
    expect(await consul.status.leader()).toBe('127.0.0.1:8300')
    expect(await consul.status.peers()).toEqual(['127.0.0.1:8300'])
    expect(await consul.catalog.datacenters({})).toEqual(['dc1'])
  })

  it('is told about a check that cannot be, a wrong token, and the parts that are not here', async () => {
    const consul = await client({ token: 'secret' }, 'secret')
    await expect(consul.agent.service.register({ name: 'a', check: { ttl: '0s' } } as Json)).rejects.toMatchObject({ statusCode: 400 })
    await expect(consul.kv.get('x')).rejects.toMatchObject({ statusCode: 501 })
    await expect(consul.agent.services({ token: 'wrong' } as Json)).rejects.toMatchObject({ statusCode: 403 })
    await expect(consul.agent.check.pass('nobody')).rejects.toMatchObject({ statusCode: 404 })
  })
})

describe('curl', () => {
  if (spawnSync('curl', ['--version']).error) {
    it.skip('left out: there is no curl here; "apt-get install curl" brings it')
    return
  }

  const run = promisify(execFile)
  const curl = async (...args: string[]) => (await run('curl', ['--silent', '--show-error', '--max-time', '20', ...args])).stdout
  const statusOf = (...args: string[]) => curl('--output', '/dev/null', '--write-out', '%{http_code}', ...args)

  it('registers, checks, watches, maintains and deregisters', async () => {
    const target = createServer((_, response) => response.end('fine'))
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => target.close())
    const { url } = await started({ token: 'secret' })
    const token = ['--header', 'X-Consul-Token: secret']
    const service = {
      Name: 'billing',
      Port: 4000,
      Check: { HTTP: `http://127.0.0.1:${(target.address() as AddressInfo).port}/`, Interval: '100ms', Timeout: '5s' }, // it listens on TCP
    }
    await curl(...token, '--request', 'PUT', '--data', JSON.stringify(service), `${url}/v1/agent/service/register`)
    const index = /x-consul-index: (\d+)/i.exec(await curl(...token, '--include', `${url}/v1/health/service/billing`))?.[1]
    // Critical until its first check: the change that a blocking query waits for.
    let rows: Json[] = []
    for (let at = index; rows.length === 0; ) {
      const answer = await curl(...token, '--include', `${url}/v1/health/service/billing?passing&index=${at}&wait=10s`)
      at = /x-consul-index: (\d+)/i.exec(answer)?.[1]
      rows = JSON.parse(answer.split('\r\n\r\n')[1] ?? '[]')
    }
    expect(rows[0].Checks[0]).toMatchObject({ Status: 'passing', Type: 'http' })
    expect(await statusOf(`${url}/v1/agent/health/service/id/billing?token=secret`)).toBe('200')
    await curl(...token, '--request', 'PUT', `${url}/v1/agent/service/maintenance/billing?enable=true&reason=disk`)
    expect(await curl(...token, `${url}/v1/health/service/billing?passing`)).toBe('[]')
    expect(await statusOf(`${url}/v1/agent/health/service/id/billing?token=secret`)).toBe('503')
    await curl(...token, '--request', 'PUT', `${url}/v1/agent/service/maintenance/billing?enable=false`)
    await curl(...token, '--request', 'PUT', `${url}/v1/agent/service/deregister/billing`)
    expect(await curl('--oauth2-bearer', 'secret', `${url}/v1/agent/services`)).toBe('{}')
    expect(await statusOf(`${url}/v1/agent/services`)).toBe('403')
  })
})
