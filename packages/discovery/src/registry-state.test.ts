import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CheckStatus } from './consul-json.ts'
import { indexOf, type RegistryState } from './registry-index.ts'
import { atOnce, type CheckDefinition, type ServiceRecord } from './registry-records.ts'
import { after, emptyRegistry, findCheck, nextDueAt, type RegistryEvent } from './registry-state.ts'

const service = (id: string, name = 'orders', port = 1): ServiceRecord => ({
  id,
  name,
  address: '127.0.0.1',
  port,
  tags: [],
  meta: {},
  weights: { passing: 1, warning: 1 },
  taggedAddresses: {},
})

const ttl = (id: string, ttlMs: number, status: CheckStatus | undefined, deregisterAfterMs?: number): CheckDefinition => ({
  id: `service:${id}`,
  name: 'heartbeat',
  notes: '',
  status,
  kind: { type: 'ttl', ttlMs },
  deregisterAfterMs,
  thresholds: atOnce,
})

const run = (events: readonly (readonly [number, RegistryEvent])[]): RegistryState =>
  events.reduce((state, [now, event]) => after(state, event, now), emptyRegistry)

test('a heartbeat moves the time of expiry and wakes nobody', () => {
  const registered = run([[0, { type: 'register', service: service('a'), checks: [ttl('a', 10, 'passing')] }]])
  const beaten = after(registered, { type: 'report', checkId: 'service:a', status: 'passing', output: '' }, 8)
  expect(nextDueAt(beaten)).toBe(18)
  expect(beaten.index).toBe(registered.index)
  expect(after(beaten, { type: 'tick' }, 17)).toBe(beaten)
  expect(findCheck(after(beaten, { type: 'tick' }, 18), 'service:a')?.check.status).toBe('critical')
})

test('registering again with nothing new wakes nobody, and gives a TTL its whole time', () => {
  const event = { type: 'register', service: service('a'), checks: [ttl('a', 10, 'passing')] } as const
  const before = run([[0, event]])
  const again = after(before, event, 5)
  expect(again.index).toBe(before.index)
  expect(nextDueAt(again)).toBe(15)
  expect(again.entries.get('a')?.checks[0]?.kind).toBe(before.entries.get('a')?.checks[0]?.kind)
  const expired = after(again, { type: 'tick' }, 15)
  expect(after(expired, event, 16).index).toBeGreaterThan(expired.index)
  const other = { ...event, service: { ...event.service, meta: { version: '8' } } }
  expect(after(again, other, 16).index).toBeGreaterThan(again.index)
})

test('registering again keeps the status of a check that says none, and maintenance', () => {
  const before = run([
    [0, { type: 'register', service: service('a'), checks: [ttl('a', 10, 'passing')] }],
    [0, { type: 'maintenance', id: 'a', reason: 'disk' }],
  ])
  const again = after(before, { type: 'register', service: service('a'), checks: [ttl('a', 10, undefined)] }, 5)
  expect(again.entries.get('a')?.checks.map(({ status }) => status)).toEqual(['passing', 'critical'])
})

test('of two checks with one id the later instance has it', () => {
  const shared = { ...ttl('a', 10, 'passing'), id: 'beat' }
  const state = run([
    [0, { type: 'register', service: service('a', 'orders', 1), checks: [shared] }],
    [0, { type: 'register', service: service('b', 'orders', 2), checks: [shared] }],
  ])
  expect(findCheck(state, 'beat')?.entry?.service.id).toBe('b')
})

test('instances without a port never replace each other', () => {
  const events = ['a', 'b'].map((id) => [0, { type: 'register', service: service(id, 'worker', 0), checks: [] }] as const)
  expect([...run(events).entries.keys()]).toEqual(['a', 'b'])
})

test('an index of a service that has gone is kept, so that those who wait for it hear', () => {
  const state = run([
    [0, { type: 'register', service: service('a'), checks: [] }],
    [0, { type: 'deregister', id: 'a' }],
  ])
  expect(indexOf(state, 'orders')).toBe(state.index)
  expect(indexOf(state, 'never')).toBe(1)
})

/** The same rules told naively: one mutable list, time passing millisecond by millisecond. */
interface Known {
  id: string
  name: string
  port: number
  status: CheckStatus
  ttlMs: number
  silentMs: number
  criticalMs: number
  deregisterAfterMs: number | undefined
  maintenance: boolean
}

function naive() {
  let list: Known[] = []
  const find = (id: string) => list.find((each) => each.id === id)
  function report(known: Known, status: CheckStatus): void {
    if (!(status === 'critical' && known.status === 'critical')) known.criticalMs = 0
    known.status = status
    known.silentMs = 0
  }
  function apply(event: RegistryEvent): void {
    if (event.type === 'register') {
      const { id, name, port } = event.service
      const check = event.checks[0]
      if (check?.kind.type !== 'ttl') throw new Error('the model knows checks by TTL only')
      const old = find(id)
      list = list.filter((each) => each.id !== id && !(each.name === name && each.port === port))
      const status = check.status ?? old?.status ?? 'critical'
      const criticalMs = old?.status === 'critical' && status === 'critical' ? old.criticalMs : 0
      const { deregisterAfterMs } = check
      list.push({
        id,
        name,
        port,
        status,
        ttlMs: check.kind.ttlMs,
        silentMs: 0,
        criticalMs,
        deregisterAfterMs,
        maintenance: old?.maintenance ?? false,
      })
    }
    if (event.type === 'deregister') list = list.filter(({ id }) => id !== event.id)
    if (event.type === 'report') {
      const known = find(event.checkId.replace('service:', ''))
      if (known) report(known, event.status)
    }
    if (event.type === 'maintenance') {
      const known = event.id === undefined ? undefined : find(event.id)
      if (known) known.maintenance = event.reason !== undefined
    }
    if (event.type === 'tick') pass(0)
  }
  function pass(ms: number): void {
    for (let step = 0; step < ms; step += 1) {
      for (const known of list) {
        if (known.status === 'critical') known.criticalMs += 1
        else if (++known.silentMs >= known.ttlMs) report(known, 'critical')
      }
      sweep()
    }
    sweep()
  }
  function sweep(): void {
    list = list.filter(
      ({ status, criticalMs, deregisterAfterMs }) => status !== 'critical' || criticalMs < (deregisterAfterMs ?? Number.POSITIVE_INFINITY),
    )
  }
  const view = () =>
    list.map(({ id, name, port, status, maintenance }) => `${name} ${id}:${port} ${status}${maintenance ? ' maintenance' : ''}`).sort()
  return { apply, pass, view }
}

function view(state: RegistryState): string[] {
  return [...state.entries.values()]
    .map(({ service: { id, name, port }, checks }) => {
      const maintenance = checks.some(({ kind }) => kind.type === 'maintenance') ? ' maintenance' : ''
      return `${name} ${id}:${port} ${checks[0]?.status}${maintenance}`
    })
    .sort()
}

const statuses = fc.constantFrom<CheckStatus>('passing', 'warning', 'critical')
const someId = fc.constantFrom('a', 'b', 'c')
const events: fc.Arbitrary<{ event: RegistryEvent } | { passMs: number }> = fc.oneof(
  fc
    .record({
      id: someId,
      name: fc.constantFrom('x', 'y'),
      port: fc.constantFrom(1, 2),
      ttlMs: fc.constantFrom(3, 10),
      status: fc.option(statuses, { nil: undefined }),
      deregisterAfterMs: fc.constantFrom(undefined, 0, 5, 20),
    })
    .map(({ id, name, port, ttlMs, status, deregisterAfterMs }) => ({
      event: { type: 'register' as const, service: service(id, name, port), checks: [ttl(id, ttlMs, status, deregisterAfterMs)] },
    })),
  someId.map((id) => ({ event: { type: 'deregister' as const, id } })),
  fc.record({ id: someId, status: statuses }).map(({ id, status }) => ({
    event: { type: 'report' as const, checkId: `service:${id}`, status, output: '' },
  })),
  fc
    .record({ id: someId, reason: fc.constantFrom('disk', undefined) })
    .map((each) => ({ event: { type: 'maintenance' as const, ...each } })),
  fc.integer({ min: 1, max: 30 }).map((passMs) => ({ passMs })),
)

test('does what the naive model does, whenever the ticks come, and each change of a service has a new index', () => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 40 }), (commands) => {
      const model = naive()
      let state = emptyRegistry
      let now = 0
      for (const command of commands) {
        const before = state
        if ('event' in command) {
          model.apply(command.event)
          model.pass(0)
          state = after(state, command.event, now)
        } else {
          now += command.passMs
          model.pass(command.passMs)
        }
        // What fell due, and what an event made due at once.
        state = after(state, { type: 'tick' }, now)
        expect(view(state)).toEqual(model.view())
        for (const name of ['x', 'y']) {
          const of = (each: RegistryState) => view(each).filter((line) => line.startsWith(name))
          if (indexOf(state, name) === indexOf(before, name)) expect(of(state)).toEqual(of(before))
          else expect(indexOf(state, name)).toBeGreaterThan(indexOf(before, name))
        }
        const dueAt = nextDueAt(state)
        if (dueAt !== undefined) {
          expect(dueAt).toBeGreaterThan(now)
          expect(after(state, { type: 'tick' }, dueAt - 1)).toBe(state)
          expect(after(state, { type: 'tick' }, dueAt)).not.toBe(state)
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('names that come and go are forgotten, and whoever waits for one hears of it', () => {
  let state = after(emptyRegistry, { type: 'register', service: service('stays', 'stays'), checks: [] }, 0)
  const before = new Map([['stays', indexOf(state, 'stays')]])
  for (let i = 0; i < 2_500; i += 1) {
    const name = `branch-${i}`
    const came = after(state, { type: 'register', service: service(name, name, 0), checks: [] }, i)
    const went = after(came, { type: 'deregister', id: name }, i)
    // Each change has another index for who waits for its service, and none goes back.
    expect(indexOf(came, name)).not.toBe(indexOf(state, name))
    expect(indexOf(went, name)).toBeGreaterThan(indexOf(came, name))
    for (const [each, index] of before) expect(indexOf(went, each)).toBeGreaterThanOrEqual(index)
    if (i < 20) before.set(name, indexOf(went, name))
    state = went
  }
  expect(state.changed.size).toBeLessThanOrEqual(1_100)
  expect(indexOf(state, 'stays')).toBe(before.get('stays'))
})
