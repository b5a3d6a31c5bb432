import { manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import type { RegistryState } from './registry-index.ts'
import { indexOf } from './registry-index.ts'
import { atOnce, type CheckDefinition, type ServiceRecord } from './registry-records.ts'
import { readSavedState, toSaved } from './registry-saved.ts'
import { after, emptyRegistry, findCheck, nextDueAt, type RegistryEvent } from './registry-state.ts'
import { agentChecks, checksInState, healthRows, nodeChecks } from './registry-views.ts'

const service = (id: string, name = 'orders'): ServiceRecord => ({
  id,
  name,
  address: '10.0.0.1',
  port: 0,
  tags: ['Blue'],
  meta: { version: '7' },
  weights: { passing: 2, warning: 1 },
  taggedAddresses: { wan: { Address: '1.2.3.4', Port: 80 } },
})

const check = (id: string, more: Partial<CheckDefinition> = {}): CheckDefinition => ({
  id,
  name: id,
  notes: '',
  status: 'passing',
  kind: { type: 'ttl', ttlMs: 10 },
  deregisterAfterMs: undefined,
  thresholds: atOnce,
  ...more,
})

const run = (events: readonly RegistryEvent[], from: RegistryState = emptyRegistry): RegistryState =>
  events.reduce((state, event) => after(state, event, 0), from)

const passing = (state: RegistryState) => healthRows(state, '', { service: 'orders', passing: true }).map(({ Service }) => Service.ID)

const rich = run([
  { type: 'register', service: service('o-1'), checks: [check('service:o-1')] },
  {
    type: 'register',
    service: service('o-2'),
    checks: [
      check('web', {
        kind: {
          type: 'http',
          url: 'https://x/',
          method: 'HEAD',
          headers: { 'x-a': ['1', '2'] },
          body: 'b',
          skipTlsVerify: true,
          followRedirects: false,
          intervalMs: 1_000,
          timeoutMs: 500,
        },
        thresholds: { passing: 3, warning: 2, critical: 4 },
        deregisterAfterMs: 60_000,
      }),
      check('db', { kind: { type: 'tcp', host: '::1', port: 5432, intervalMs: 1_000, timeoutMs: 500 } }),
    ],
  },
  { type: 'maintenance', id: 'o-2', reason: 'disk' },
  { type: 'add-check', serviceId: undefined, check: check('clock') },
  { type: 'maintenance', id: undefined, reason: 'kernel' },
  {
    type: 'catalog-register',
    node: { name: 'legacy', address: '10.1.1.1', meta: { rack: 'r1' } },
    service: service('o-1'),
    checks: [
      { serviceId: '', check: check('alive', { kind: { type: 'told' } }) },
      { serviceId: 'o-1', check: check('up', { kind: { type: 'told' } }) },
    ],
  },
])

test('one id on two nodes is two instances; maintenance of a node takes its own out and no other', () => {
  expect(healthRows(rich, '127.0.0.1', { service: 'orders' }).map(({ Node, Service }) => `${Node.Node} ${Service.ID}`)).toEqual([
    'banyan o-1',
    'banyan o-2',
    'legacy o-1',
  ])
  expect(passing(rich)).toEqual(['o-1'])
  expect(passing(run([{ type: 'maintenance', id: undefined, reason: undefined }], rich))).toEqual(['o-1', 'o-1'])
})

test('what is of the agent is of its own node', () => {
  expect(Object.keys(agentChecks(rich)).sort()).toEqual([
    '_node_maintenance',
    '_service_maintenance:o-2',
    'clock',
    'db',
    'service:o-1',
    'web',
  ])
  expect(nodeChecks(rich, 'legacy').map(({ CheckID }) => CheckID)).toEqual(['alive', 'up'])
  expect(checksInState(rich, 'critical').map(({ CheckID }) => CheckID)).toEqual(['_node_maintenance', '_service_maintenance:o-2'])
})

test('a change of a node is one of every service on it', () => {
  const other = run([{ type: 'register', service: service('b-1', 'billing'), checks: [] }], rich)
  const maintained = run([{ type: 'maintenance', id: undefined, reason: 'more' }], other)
  expect([indexOf(maintained, 'orders'), indexOf(maintained, 'billing')]).toEqual([maintained.index, maintained.index])
})

test('a check of the node that is not heard of turns critical and takes nobody out', () => {
  const late = after(rich, { type: 'tick' }, 10)
  expect(nodeChecks(late, 'banyan').find(({ CheckID }) => CheckID === 'clock')?.Status).toBe('critical')
  expect(late.entries.size).toBe(3)
  expect(nextDueAt(late)).toBeUndefined()
})

test('checks that a new registration does not name stay, unless they are to go', () => {
  const again = { type: 'register', service: service('o-2'), checks: [check('fresh')] } as const
  const idsOf = (state: RegistryState) => state.entries.get('o-2')?.checks.map(({ id }) => id)
  expect(idsOf(run([again], rich))).toEqual(['web', 'db', '_service_maintenance:o-2', 'fresh'])
  expect(idsOf(run([{ ...again, replaceChecks: true }], rich))).toEqual(['_service_maintenance:o-2', 'fresh'])
})

test('telling the catalog again what it knows is no change; anything new is', () => {
  const told: RegistryEvent & { type: 'catalog-register' } = {
    type: 'catalog-register',
    node: { name: 'legacy', address: '10.1.1.1', meta: { rack: 'r1' } },
    service: service('o-1'),
    checks: [
      { serviceId: '', check: check('alive', { kind: { type: 'told' } }) },
      { serviceId: 'o-1', check: check('up', { kind: { type: 'told' } }) },
    ],
  }
  expect(run([told], rich)).toBe(rich)
  expect(run([{ ...told, service: undefined, checks: [] }], rich)).toBe(rich)
  const down = check('down', { kind: { type: 'told' }, status: 'critical' })
  for (const serviceId of ['', 'o-1']) {
    const failing = run([{ ...told, checks: [{ serviceId, check: down }] }], rich)
    expect(indexOf(failing, 'orders')).toBe(rich.index + 1)
    expect(run([{ ...told, checks: [{ serviceId, check: down }] }], failing)).toBe(failing)
  }
  expect(run([{ ...told, service: { ...service('o-1'), port: 1 } }], rich).index).toBe(rich.index + 1)
  expect(run([{ ...told, node: { ...told.node, address: '10.1.1.2' } }], rich).index).toBe(rich.index + 1)
})

test('the catalog gives up a check, a service, a node with all on it; never what it does not know', () => {
  const out = (serviceId: string, checkId: string, node = 'legacy') => run([{ type: 'catalog-deregister', node, serviceId, checkId }], rich)
  expect(nodeChecks(out('', 'up'), 'legacy').map(({ CheckID }) => CheckID)).toEqual(['alive'])
  expect(nodeChecks(out('', 'alive'), 'legacy').map(({ CheckID }) => CheckID)).toEqual(['up'])
  expect([...out('o-1', '').entries.keys()]).toEqual(['o-1', 'o-2'])
  expect([...out('', '').nodes.keys()]).toEqual(['banyan'])
  expect(out('', '').entries.size).toBe(2)
  for (const state of [out('nobody', ''), out('', 'nothing'), out('', '', 'nowhere')]) expect(state).toBe(rich)
})

test('a pause renews what fell due in it, and nothing else', () => {
  const state = run([
    { type: 'register', service: service('short'), checks: [check('a', { kind: { type: 'ttl', ttlMs: 10 } })] },
    { type: 'register', service: service('long'), checks: [check('b', { kind: { type: 'ttl', ttlMs: 1_000 } })] },
    { type: 'register', service: service('gone'), checks: [check('c', { status: 'critical', deregisterAfterMs: 20 })] },
  ])
  const back = after(state, { type: 'resumed' }, 500)
  expect(back.index).toBe(state.index)
  expect(nextDueAt(back)).toBe(510)
  const next = after(back, { type: 'tick' }, 510)
  expect([...next.entries.values()].map(({ service: { id }, checks }) => `${id} ${checks[0]?.status}`)).toEqual([
    'short critical',
    'long passing',
    'gone critical',
  ])
  expect(after(next, { type: 'tick' }, 520).entries.has('gone')).toBe(false)
})

test('what is saved comes back: all but times, outputs and indexes, and those only grow', () => {
  const world = manualWorld()
  const back = readSavedState(JSON.parse(toSaved(rich)), world)
  const essence = (state: RegistryState) =>
    JSON.parse(
      JSON.stringify([[...state.entries], [...state.nodes]], (name, value) =>
        ['createIndex', 'modifyIndex', 'expiresAt', 'criticalSince', 'output'].includes(name) ? undefined : value,
      ),
    )
  expect(essence(back)).toEqual(essence(rich))
  expect(back.index).toBeGreaterThan(rich.index)
  expect(indexOf(back, 'orders')).toBe(back.index)
})

test('an instance that has changed is saved as it is now, beside others that are as they were', () => {
  const world = manualWorld()
  toSaved(rich)
  const changed = after(rich, { type: 'maintenance', id: 'o-1', reason: 'a new disk' }, 0)
  const before = readSavedState(JSON.parse(toSaved(rich)), world)
  const back = readSavedState(JSON.parse(toSaved(changed)), world)
  const kinds = (state: RegistryState, id: string) => state.entries.get(id)?.checks.map(({ kind }) => kind.type)
  expect(kinds(back, 'o-1')).toContain('maintenance')
  expect(kinds(before, 'o-1')).not.toContain('maintenance')
  expect(kinds(back, 'o-2')).toEqual(kinds(before, 'o-2'))
})

test('of two checks with one id the later has the heartbeats, after a restart too', () => {
  const state = run(['crashed', 'living'].map((id) => ({ type: 'register', service: service(id), checks: [check('beat')] })))
  expect(findCheck(state, 'beat')?.entry?.service.id).toBe('living')
  const back = readSavedState(JSON.parse(toSaved(state)), manualWorld())
  expect(findCheck(back, 'beat')?.entry?.service.id).toBe('living')
})
