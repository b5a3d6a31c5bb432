import { describe, expect, it } from 'vitest'
import { defineGateway } from './config-file.ts'
import { type Echo, echo, origin, start } from './test/harness.ts'

const route = { path: '/', service: 'a' }

describe('how a service is called', () => {
  it('in turn, where the file says round-robin', async () => {
    const [one, two] = [await echo('one'), await echo('two')]
    const { url } = await start({ routes: [route], services: { a: { balance: 'round-robin' } } }, { a: [one.address, two.address] })
    const names: string[] = []
    for (let n = 0; n < 8; n += 1) names.push(((await (await fetch(url)).json()) as Echo).name)
    expect(names.filter((name, index) => name !== names[index - 1])).toEqual(names)
  })

  it('not at an instance that keeps failing, for as long as the file says', async () => {
    let failures = 0
    const bad = await origin((_, response) => {
      failures += 1
      response.writeHead(503).end()
    })
    const good = await echo('good')
    const services = { a: { balance: 'round-robin' as const, outliers: { failures: 2, base_ms: 600_000, max_ms: 600_000 } } }
    const { url } = await start({ routes: [{ ...route, retries: 0 }], services }, { a: [bad.address, good.address] })
    const statuses: number[] = []
    for (let n = 0; n < 40; n += 1) statuses.push((await fetch(url)).status)
    expect([failures, statuses.filter((status) => status === 503).length]).toEqual([2, 2])
  })

  it('again and again, where outliers are turned off', async () => {
    const bad = await origin((_, response) => response.writeHead(503).end())
    const good = await echo('good')
    const services = { a: { balance: 'round-robin' as const, outliers: { max_share: 0 }, breaker: { minimum_calls: 1_000 } } }
    const { url } = await start({ routes: [{ ...route, retries: 0 }], services }, { a: [bad.address, good.address] })
    const statuses: number[] = []
    for (let n = 0; n < 20; n += 1) statuses.push((await fetch(url)).status)
    expect(statuses.filter((status) => status === 503)).toHaveLength(10)
  })

  it('with a breaker of its own, key by key over that of the file', async () => {
    let asked = 0
    const bad = await origin((_, response) => {
      asked += 1
      response.writeHead(503).end()
    })
    const config = { breaker: { minimum_calls: 1_000, cool_down_ms: 600_000 }, services: { a: { breaker: { minimum_calls: 3 } } } }
    const { url } = await start({ ...config, routes: [{ ...route, retries: 0 }] }, { a: [bad.address] })
    for (let n = 0; n < 10; n += 1) expect((await fetch(url)).status).toBe(503)
    expect(asked).toBe(3)
  })

  it.each([
    [{ a: { balance: 'random' } }, /one of p2c/],
    [{ a: { balance: 'round-robin', slow_start_ms: 1 } }, /"slow_start_ms" with "balance: round-robin"/],
    [{ a: { outliers: { base_ms: 2_000, max_ms: 1_000 } } }, /"base_ms" of 2000, more than its "max_ms" of 1000/],
    [{ a: { outlier: {} } }, /did you mean "outliers"/],
    [{ 'a b': {} }, /the name of a service/],
  ])('refuses %j', (services, message) => {
    expect(() => defineGateway({ routes: [route], services: services as never })).toThrow(message)
  })
})
