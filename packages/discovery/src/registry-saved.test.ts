import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { readRegistration } from './registry-input.ts'
import { readSavedState, toSaved } from './registry-saved.ts'
import { after, emptyRegistry } from './registry-state.ts'

test.each([
  ['the shortest of durations, as Go reads it', { TTL: '10s', DeregisterCriticalServiceAfter: '0.1ns' }],
  ['a duration of a part of a nanosecond', { TTL: 10_000_000_000, DeregisterCriticalServiceAfter: 0.25 }],
  ['a fraction of a millisecond', { TTL: '4350us' }],
  ['an address of IPv6 with a zone', { TCP: '[fe80::1%eth0]:80', Interval: '10s' }],
])('%s is read again from the file', (_what, check) => {
  const world = manualWorld()
  const registration = readRegistration({ Name: 'orders', ID: 'orders-1', Check: { ...check, Status: 'critical' } })
  const state = after(emptyRegistry, { type: 'register', ...registration }, world.monotonic())
  const again = readSavedState(JSON.parse(toSaved(state)), world)
  expect(again.entries.get('orders-1')?.checks).toMatchObject(registration.checks)
})

test.each(['[a b]:80', '[a/b]:80', '[]:80', '[host]:0', '[a[b]:80'])(
  'an address that could not be read again from the file, %s, is refused',
  (address) => {
    const body = { Name: 'orders', Check: { TCP: address, Interval: '10s' } }
    expect(() => readRegistration(body)).toThrow(`"Check.TCP" is "${address}", wanted host:port`)
  },
)
