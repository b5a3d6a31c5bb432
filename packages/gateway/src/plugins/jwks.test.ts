import { type ManualWorld, manualWorld, silentLogger } from '@banyan/core'
import { errors, exportJWK, generateKeyPair } from 'jose'
import { describe, expect, it } from 'vitest'
import { jwks } from './jwks.ts'
import type { Fetched } from './plugin.ts'

async function keyOf(kid: string) {
  return { ...(await exportJWK((await generateKeyPair('ES256')).publicKey)), kid, alg: 'ES256' }
}

function source(world: ManualWorld, answer: () => Promise<Fetched>) {
  let fetches = 0
  const fetch = () => {
    fetches += 1
    return answer()
  }
  const { find: get, version } = jwks({
    url: 'https://users.example/',
    fetch,
    world,
    log: silentLogger,
    maxAgeMs: 600_000,
    coolDownMs: 5_000,
  })
  return { find: async (kid: string) => get({ alg: 'ES256', kid }, { payload: '', signature: '' }), fetches: () => fetches, version }
}

const served = (...keys: object[]) => Promise.resolve({ status: 200, text: JSON.stringify({ keys }) })

describe('jwks', () => {
  it('looks again for an unknown key, but not more often than the cool-down', async () => {
    const world = manualWorld()
    const [one, two] = [await keyOf('one'), await keyOf('two')]
    let keys = [one]
    const { find, fetches } = source(world, () => served(...keys))
    await find('one')
    await expect(find('two')).rejects.toBeInstanceOf(errors.JWKSNoMatchingKey)
    expect(fetches()).toBe(1)
    keys = [two]
    await world.advance(5_000)
    expect(await find('two')).toMatchObject({ type: 'public' })
    expect(fetches()).toBe(2)
  })

  it('asks once however many wait', async () => {
    const world = manualWorld()
    const one = await keyOf('one')
    const { find, fetches } = source(world, () => served(one))
    await Promise.all(Array.from({ length: 100 }, () => find('one')))
    expect(fetches()).toBe(1)
  })

  it('has another version when the keys are others, and looks for them also when only that is asked for', async () => {
    const world = manualWorld()
    const [one, two] = [await keyOf('one'), await keyOf('two')]
    let keys = [one]
    const { find, fetches, version } = source(world, () => served(...keys))
    expect(version()).toBe(0)
    expect(fetches()).toBe(0)
    await find('one')
    const first = version()
    await world.advance(601_000)
    expect(version()).toBe(first)
    await world.advance(0)
    expect([fetches(), version()]).toEqual([2, first])
    keys = [two]
    await world.advance(601_000)
    version()
    await world.advance(0)
    expect(fetches()).toBe(3)
    expect(version()).not.toBe(first)
  })

  it('serves old keys while new ones cannot be had', async () => {
    const world = manualWorld()
    const one = await keyOf('one')
    let isDown = false
    const { find, fetches } = source(world, () => (isDown ? Promise.reject(new Error('down')) : served(one)))
    await find('one')
    isDown = true
    await world.advance(601_000)
    await find('one')
    await world.advance(0)
    expect(fetches()).toBe(2)
    await find('one')
    expect(fetches()).toBe(2)
    await world.advance(5_000)
    await find('one')
    expect(fetches()).toBe(3)
  })

  it.each([
    ['no answer', () => Promise.reject(new Error('refused'))],
    ['a bad status', () => Promise.resolve({ status: 404, text: '' })],
    ['no JSON', () => Promise.resolve({ status: 200, text: '<html>' })],
    ['no key set', () => Promise.resolve({ status: 200, text: '{}' })],
  ])('is unavailable with %s, and asks again only after the cool-down', async (_, answer) => {
    const world = manualWorld()
    const { find, fetches } = source(world, answer)
    await expect(find('one')).rejects.toMatchObject({ code: 'ERR_JWKS_UNAVAILABLE', status: 503 })
    await expect(find('one')).rejects.toMatchObject({ code: 'ERR_JWKS_UNAVAILABLE' })
    expect(fetches()).toBe(1)
    await world.advance(5_000)
    await expect(find('one')).rejects.toMatchObject({ code: 'ERR_JWKS_UNAVAILABLE' })
    expect(fetches()).toBe(2)
  })
})
