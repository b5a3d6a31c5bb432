import { describe, expect, it } from 'vitest'
import type { RouteConfig } from './config.ts'
import { describeDiff, diffConfigs, isEmptyDiff } from './config-diff.ts'

const url = 'http://127.0.0.1:1'
const route = (path: string, more: Partial<RouteConfig> = {}): RouteConfig => ({ path, url, ...more })

describe('the difference of two configurations', () => {
  it('is none for the same, whatever the order of routes', () => {
    const one = { listen: 1, routes: [route('/a'), route('/b', { retries: 1 })] }
    expect(isEmptyDiff(diffConfigs(one, one))).toBe(true)
    expect(isEmptyDiff(diffConfigs(one, { ...one, routes: [...one.routes].reverse() }))).toBe(true)
  })

  it('names settings, routes and keys', () => {
    const before = { listen: 1, drain_ms: 5, routes: [route('/a', { retries: 1 }), route('/b'), route('/c', { methods: ['GET'] })] }
    const after = { listen: 2, routes: [route('/a', { timeout_ms: 9 }), route('/b'), route('/c', { methods: ['POST'] })] }
    expect(describeDiff(diffConfigs(before, after))).toEqual([
      '~ listen: 1 -> 2',
      '~ drain_ms: 5 -> nothing',
      '- route GET /c',
      '+ route POST /c',
      '~ route /a',
      '    retries: 1 -> nothing',
      '    timeout_ms: nothing -> 9',
    ])
  })

  it('tells routes of one path apart by their order', () => {
    const one = { routes: [route('/a', { service: 'x' }), route('/a', { service: 'y' })] }
    const other = { routes: [route('/a', { service: 'x' }), route('/a', { service: 'z' })] }
    expect(diffConfigs(one, other).changed).toMatchObject([{ route: '/a (2)', keys: [{ key: 'service', before: 'y', after: 'z' }] }])
  })

  it('hides what variables hide', () => {
    const secret = (n: number) => ({ admin_token: `secret-${n}`, redis: `redis://:secret-${n}@host:${n}`, routes: [route('/')] })
    const said = JSON.stringify([diffConfigs(secret(1), secret(2)), describeDiff(diffConfigs(secret(1), secret(2)))])
    expect(said).not.toContain('secret')
    expect(said).toContain('redis://***@host:2')
    const redis = 'redis://eva:one@sec/ret@host:1'
    expect(describeDiff(diffConfigs({ redis, routes: [] }, { routes: [] }))).toEqual(['~ redis: "redis://***@host:1" -> nothing'])
  })
})
