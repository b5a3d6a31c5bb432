import { manualWorld, silentLogger } from '@banyan/core'
import { expect, test } from 'vitest'
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
