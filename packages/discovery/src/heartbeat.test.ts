import { manualWorld, silentLogger } from '@banyan/core'
import { expect, test } from 'vitest'
import { DiscoveryError } from './errors.ts'
import { keepAlive, type Lease } from './heartbeat.ts'

const instance = { id: 'orders-1', service: 'orders', host: '127.0.0.1', port: 3001 }

test('a client that is closed while its registration is answered sends no heartbeats', async () => {
  const world = manualWorld()
  const closing = new AbortController()
  const said: string[] = []
  const lease: Lease = {
    async register() {
      said.push('register')
      closing.abort()
    },
    async renew() {
      said.push('renew')
      return 'heard'
    },
    async deregister() {
      said.push('deregister')
    },
  }
  const options = { lease, instance, ttlMs: 3_000, registerTimeoutMs: 1_000, closed: closing.signal, world, log: silentLogger }
  const registration = await keepAlive(options)
  await world.advance(60_000)
  await registration.deregister()
  expect(said).toEqual(['register'])
  expect(world.pendingTimers()).toBe(0)
})

test('a registration that is given up because the client is closed says why it had not come about', async () => {
  const world = manualWorld()
  const closing = new AbortController()
  const away = new DiscoveryError('ERR_REGISTRY_UNAVAILABLE', 'nobody there')
  const lease: Lease = { register: () => Promise.reject(away), renew: async () => 'heard', deregister: async () => {} }
  const options = { lease, instance, ttlMs: 3_000, registerTimeoutMs: 60_000, closed: closing.signal, world, log: silentLogger }
  const registering = expect(keepAlive(options)).rejects.toBe(away)
  await world.advance(500)
  closing.abort()
  await registering
  expect(world.pendingTimers()).toBe(0)
})
