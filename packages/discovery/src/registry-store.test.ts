import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { atOnce } from './registry-records.ts'
import { emptyRegistry, type RegistryEvent } from './registry-state.ts'
import { registryStore } from './registry-store.ts'

const register = (id: string, name: string): RegistryEvent => ({
  type: 'register',
  service: { id, name, address: '', port: 0, tags: [], meta: {}, weights: { passing: 1, warning: 1 }, taggedAddresses: {} },
  checks: [
    {
      id: `service:${id}`,
      name: '',
      notes: '',
      status: 'passing',
      kind: { type: 'ttl', ttlMs: 100 },
      deregisterAfterMs: 1_000,
      thresholds: atOnce,
    },
  ],
})
const beat: RegistryEvent = { type: 'report', checkId: 'service:a', status: 'passing', output: '' }

function setUp() {
  const world = manualWorld()
  let changes = 0
  const onChange = () => {
    changes += 1
  }
  const store = registryStore({ state: emptyRegistry, world, onChange })
  return { world, store, changes: () => changes, status: () => store.get().entries.get('a')?.checks[0]?.status }
}

test('lets time pass: expires, takes out, and holds no timer when nothing can happen', async () => {
  const { world, store, status } = setUp()
  expect(world.pendingTimers()).toBe(0)
  store.apply(register('a', 'orders'))
  await world.advance(60)
  store.apply(beat)
  await world.advance(99)
  expect(status()).toBe('passing')
  await world.advance(1)
  expect(status()).toBe('critical')
  await world.advance(999)
  expect(store.get().entries.size).toBe(1)
  await world.advance(1)
  expect(store.get().entries.size).toBe(0)
  expect(world.pendingTimers()).toBe(0)
})

test('a jump of the wall clock expires nobody', async () => {
  const { world, store, status } = setUp()
  store.apply(register('a', 'orders'))
  world.jump(3_600_000)
  await world.advance(50)
  expect(status()).toBe('passing')
})

test('wakes those who wait for the service that changed, and them alone', async () => {
  const { world, store } = setUp()
  store.apply(register('a', 'orders'))
  const { index } = store.get()
  const woken: string[] = []
  const never = new AbortController()
  const wait = (name: string | undefined, from: number, waitMs = 90) =>
    void store.changed(name, from, waitMs, never.signal).then(() => woken.push(name ?? 'any'))
  wait('orders', index)
  wait('billing', 1)
  wait(undefined, index)
  store.apply(beat)
  await world.advance(0)
  expect(woken).toEqual([])
  store.apply(register('b', 'billing'))
  await world.advance(0)
  expect(woken.sort()).toEqual(['any', 'billing'])
  await world.advance(90)
  expect(woken).toContain('orders')
})

test('who leaves is forgotten', async () => {
  const { world, store } = setUp()
  const leaving = new AbortController()
  const waited = store.changed('orders', 1, 1_000, leaving.signal)
  expect(world.pendingTimers()).toBe(1)
  leaving.abort()
  await waited
  expect(world.pendingTimers()).toBe(0)
})

test('heartbeats are no changes', () => {
  const { store, changes } = setUp()
  store.apply(register('a', 'orders'))
  store.apply(beat)
  expect(changes()).toBe(1)
})

/** A world whose monotonic clock can be moved on without a timer being fired: the process is paused, and its sockets are read first. */
function pausable() {
  const world = manualWorld()
  let pausedMs = 0
  return {
    world: { ...world, monotonic: () => world.monotonic() + pausedMs },
    advance: world.advance,
    pause(durationMs: number) {
      pausedMs += durationMs
    },
  }
}

test.each<[string, RegistryEvent]>([
  ['a deregistration', { type: 'deregister', id: 'b' }],
  ['a heartbeat', { type: 'report', checkId: 'service:b', status: 'passing', output: '' }],
  ['a failing check', { type: 'report', checkId: 'service:b', status: 'critical', output: '' }],
  ['a registration', register('c', 'orders')],
])('after a pause nobody expires although %s is read before the timer that is late', async (_what, event) => {
  const { world, advance, pause } = pausable()
  const store = registryStore({ state: emptyRegistry, world, onChange() {} })
  const statusOf = (id: string) => store.get().entries.get(id)?.checks[0]?.status
  store.apply(register('a', 'orders'))
  store.apply(register('b', 'orders'))
  pause(10_000)
  store.apply(event)
  await advance(0)
  expect(statusOf('a')).toBe('passing')
  // Its heartbeat does not come either: then it is dead.
  pause(99)
  await advance(0)
  expect(statusOf('a')).toBe('passing')
  await advance(200)
  expect(statusOf('a')).toBe('critical')
})
